// `rexec token new|ls|revoke`: tickets of admission for nodes and people. A token is a secret that
// works once; it is printed and kept nowhere here.
#include <unistd.h>

#include "cli/enrol/labels.hpp"
#include "cli/line/call.hpp"
#include "cli/line/errors.hpp"
#include "cli/line/exit_status.hpp"
#include "cli/line/listing.hpp"

namespace rexec::cli {
namespace {

// The controller's limit too.
constexpr Millis kLongestLife = std::chrono::days(30);

Result<wire::Map> read_new(const Args& args) {
  if (args.has("node") && args.has("user")) {
    return fail(Code::kUsage, "a token is for a node or for a user: give one of --node and --user");
  }
  if (args.has("role") && !args.has("user")) {
    return fail(Code::kUsage, "--role is for a token of a user: --user NAME");
  }
  for (const char* name : {"label", "replace"}) {
    if (args.has(name) && args.has("user"))
      return fail(Code::kUsage,
                  "--" + std::string(name) + " is for a token of a node: --node NAME");
  }
  if (args.has("user") && args.value("user").empty()) {
    return fail(Code::kUsage, "--user: an empty name", "for a person: rexec token new --user NAME");
  }
  const Result<Millis> ttl = args.duration("ttl", std::chrono::minutes(30));
  if (!ttl) return std::unexpected(ttl.error());
  if (*ttl < std::chrono::seconds(1)) {
    return fail(Code::kUsage, "--ttl: a token that lives less than a second lets nobody in",
                "for example: rexec token new --ttl 30m");
  }
  if (*ttl > kLongestLife) {
    return fail(Code::kUsage, "--ttl: a token lives 30 days at most",
                "make it when it is needed: rexec token new --ttl 30d");
  }
  const Result<std::string> role = args.choice("role", "user|admin", "user");
  if (!role) return std::unexpected(role.error());
  const Result<std::map<std::string, std::string>> labels = parse_labels(args.values("label"));
  if (!labels) return std::unexpected(labels.error());
  const bool is_user = args.has("user");
  wire::Map request{{"role", is_user ? "user" : "node"},
                    {"ttl_s", std::chrono::duration_cast<std::chrono::seconds>(*ttl).count()},
                    {"replace", args.has("replace")}};
  const std::string name = args.value(is_user ? "user" : "node");
  if (!name.empty()) request["name"] = name;
  if (is_user) request["user_role"] = *role;
  if (!labels->empty()) request["labels"] = *labels;
  return request;
}

int run_new(const Invocation& invocation) {
  const Globals& globals = invocation.globals;
  const Result<wire::Map> request = read_new(invocation.args);
  if (!request) return fail_with(globals, request.error());
  const Result<wire::Map> made = call(globals, "token.new", *request);
  if (!made) return fail_with(globals, made.error());
  if (globals.format == Format::kJson || globals.format == Format::kJsonl) {
    return print_object(globals, *made);
  }
  const int code = print_out(wire::text_or(*made, "token") + "\n");
  if (::isatty(STDERR_FILENO) == 1) {
    const bool is_user = invocation.args.has("user");
    print_notice(globals,
                 std::string(is_user ? "for the person: rexec login" : "on the node: rexec join") +
                     " TOKEN; it works once, until " +
                     local_time(wire::Map(wire::text_or(*made, "expires"))));
  }
  return code;
}

int run_ls(const Invocation& invocation) {
  Result<wire::Map> answer = call_pages(invocation.globals, "token.ls", "tokens");
  if (!answer) return fail_with(invocation.globals, answer.error());
  Listing listing;
  listing.headings = {{"TOKEN"},
                      {"FOR"},
                      {"NAME"},
                      {"STATE"},
                      {"EXPIRES"},
                      {"USED BY", Column::kWide},
                      {"MADE BY", Column::kWide}};
  listing.nothing = "no tokens";
  for (wire::Map& token : wire::take_child(*answer, "tokens")) {
    listing.add({cell(token, "id"), cell(token, "role"), cell(token, "name"), cell(token, "state"),
                 cell(token, "expires"), cell(token, "used_by"), cell(token, "created_by")},
                wire::text_or(token, "id"), std::move(token));
  }
  return print_listing(invocation.globals, listing);
}

int run_revoke(const Invocation& invocation) {
  return call_for_each(invocation.globals, "token.revoke", "id", invocation.args.words(),
                       "revoked");
}

constexpr Flag kNewFlags[] = {
    {.name = "node", .value = "NAME", .help = "for the node of that name"},
    {.name = "user", .value = "NAME", .help = "for a person"},
    {.name = "role", .value = "ROLE", .help = "user (default) or admin", .choices = "user|admin"},
    {.name = "label",
     .value = "K=V",
     .help = "a label the node will carry; may be repeated",
     .often = Often::kRepeated},
    {.name = "ttl", .value = "D", .help = "how long it may be used (default 30m)"},
    {.name = "replace",
     .help = "it may take the name of a node that exists, which is then revoked"},
};
constinit const Verb kNew{
    .name = "new",
    .summary = "make a token for a node or a person",
    .synopsis = "[flags]",
    .flags = kNewFlags,
    .run = run_new,
    .details =
        "Prints the token, alone, on stdout. Without --node and --user the node that uses\n"
        "it chooses its name."};
constinit const Verb kLs{
    .name = "ls", .summary = "the tokens and their state", .run = run_ls, .formats = kAllFormats};
constinit const Verb kRevoke{.name = "revoke",
                             .summary = "make tokens worthless",
                             .synopsis = "ID…",
                             .least = 1,
                             .most = SIZE_MAX,
                             .run = run_revoke};
constexpr const Verb* kSubs[] = {&kNew, &kLs, &kRevoke};

}  // namespace

constinit const Verb token_verb{.name = "token",
                                .summary = "tokens that let nodes and people in",
                                .synopsis = "new|ls|revoke",
                                .subs = kSubs};

}  // namespace rexec::cli
