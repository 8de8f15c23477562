// `rexec node ls|show|rm|wait`: the machines.
#include "cli/line/cache.hpp"
#include "cli/line/call.hpp"
#include "cli/line/errors.hpp"
#include "cli/line/listing.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

std::string labels_cell(const wire::Map& node) {
  std::string text;
  for (const auto& [key, value] : wire::child_or_empty(node, "labels").items()) {
    if (value.is_string()) text += (text.empty() ? "" : ",") + key + "=" + value.get<std::string>();
  }
  return text.empty() ? "-" : text;
}

int run_ls(const Invocation& invocation) {
  wire::Map request = wire::Map::object();
  if (!invocation.args.words().empty()) request["target"] = invocation.args.word(0);
  Result<wire::Map> answer = call_pages(invocation.globals, "node.ls", "nodes", std::move(request));
  if (!answer) return fail_with(invocation.globals, answer.error());
  Listing listing;
  listing.headings = {{"NODE"},
                      {"STATE"},
                      {"JOBS"},
                      {"LABELS"},
                      {"LAST SEEN"},
                      {"RUN AS", Column::kWide},
                      {"ADDRESS", Column::kWide},
                      {"VERSION", Column::kWide},
                      {"ID", Column::kWide}};
  listing.nothing = "no nodes yet: rexec token new --node NAME";
  for (wire::Map& node : wire::take_child(*answer, "nodes")) {
    listing.add({cell(node, "name"), cell(node, "state"), cell(node, "jobs"), labels_cell(node),
                 cell(node, "last_seen"), cell(node, "run_as"), cell(node, "address"),
                 cell(node, "software"), cell(node, "id")},
                wire::text_or(node, "name"), std::move(node));
  }
  if (invocation.args.words().empty()) {
    remember(invocation.globals, Remembered::kNodes, listing.names);
  }
  return print_listing(invocation.globals, listing);
}

int run_show(const Invocation& invocation) {
  const Result<wire::Map> node =
      call(invocation.globals, "node.show", {{"name", invocation.args.word(0)}});
  if (!node) return fail_with(invocation.globals, node.error());
  if (invocation.globals.format == Format::kName)
    return print_out(wire::text_or(*node, "name") + "\n");
  return print_object(invocation.globals, *node);
}

int run_rm(const Invocation& invocation) {
  std::string names;
  for (const std::string& name : invocation.args.words()) {
    names += " " + printable(name);
    if (invocation.globals.yes) continue;
    // Nobody is asked about what is not there.
    const Result<wire::Map> known = call(invocation.globals, "node.show", {{"name", name}});
    if (!known) return fail_with(invocation.globals, known.error());
  }
  const int stop = confirm(invocation, "remove" + names + "? Their certificates are revoked.");
  if (stop != 0) return stop;
  return call_for_each(invocation.globals, "node.rm", "name", invocation.args.words(), "removed",
                       {{"force", invocation.args.has("force")}});
}

constexpr std::size_t kMostNamed = 20;

// Of the target, " a b"; nothing when it cannot be told.
std::string offline_nodes(const Globals& globals, const std::string& target) {
  const Result<wire::Map> answer =
      call_pages(globals, "node.ls", "nodes", {{"target", target.empty() ? "@all" : target}});
  std::string names;
  if (!answer) return names;
  std::size_t count = 0;
  for (const wire::Map& node : wire::child_or_empty(*answer, "nodes")) {
    if (wire::text_or(node, "state") == "online") continue;
    if (count++ < kMostNamed) names += " " + wire::text_or(node, "name");
  }
  if (count > kMostNamed) names += " and " + std::to_string(count - kMostNamed) + " more";
  return names;
}

int run_wait(const Invocation& invocation) {
  const Globals& globals = invocation.globals;
  const Result<Millis> timeout = invocation.args.duration("timeout", std::chrono::minutes(1));
  if (!timeout) return fail_with(globals, timeout.error());
  std::string target;
  for (const std::string& word : invocation.args.words())
    target += (target.empty() ? "" : ",") + word;
  const Result<wire::Map> answer =
      call(globals, "node.wait",
           {{"target", target.empty() ? "@all" : target}, {"timeout_ms", timeout->count()}});
  if (answer) return 0;
  Error error = answer.error();
  if (error.code == Code::kTimeout) {
    const std::string away = offline_nodes(globals, target);
    if (!away.empty()) error.message += ":" + away;
  }
  return fail_with(globals, error);
}

constexpr Flag kWaitFlags[] = {
    {.name = "timeout", .value = "D", .help = "give up after D (default 1m)"},
};
constexpr Flag kRmFlags[] = {
    {.name = "force", .help = "also while jobs run there: they are lost"},
};
constinit const Verb kLs{.name = "ls",
                         .summary = "the nodes and their state",
                         .synopsis = "[TARGET]",
                         .most = 1,
                         .run = run_ls,
                         .completes = "@target",
                         .formats = kAllFormats};
constinit const Verb kShow{.name = "show",
                           .summary = "everything about a node",
                           .synopsis = "NODE",
                           .least = 1,
                           .most = 1,
                           .run = run_show,
                           .completes = "@node",
                           .formats = kNamedFormats};
constinit const Verb kRm{.name = "rm",
                         .summary = "remove nodes and revoke their certificates",
                         .synopsis = "[flags] NODE…",
                         .flags = kRmFlags,
                         .least = 1,
                         .most = SIZE_MAX,
                         .run = run_rm,
                         .completes = "@node"};
constinit const Verb kWait{.name = "wait",
                           .summary = "until nodes are online",
                           .synopsis = "[flags] [TARGET…]",
                           .flags = kWaitFlags,
                           .most = SIZE_MAX,
                           .run = run_wait,
                           .completes = "@target"};
constinit const Verb kLater[] = {{.name = "label", .shown = Shown::kLater},
                                 {.name = "rename", .shown = Shown::kLater},
                                 {.name = "drain", .shown = Shown::kLater},
                                 {.name = "resume", .shown = Shown::kLater}};
constexpr const Verb* kSubs[] = {&kLs,       &kShow,     &kRm,       &kWait,
                                 &kLater[0], &kLater[1], &kLater[2], &kLater[3]};

}  // namespace

constinit const Verb node_verb{.name = "node",
                               .summary = "look at nodes, wait for them, remove them",
                               .synopsis = "ls|show|rm|wait",
                               .subs = kSubs};

}  // namespace rexec::cli
