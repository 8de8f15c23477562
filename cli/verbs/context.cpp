// `rexec context ls|use|add|rm|persist`: which controllers one is signed in to. Local files only.
#include "cli/line/call.hpp"
#include "cli/line/errors.hpp"
#include "cli/line/listing.hpp"
#include "cli/line/sign_in.hpp"
#include "src/base/text.hpp"
#include "src/pki/certificate.hpp"
#include "src/pki/token.hpp"

namespace rexec::cli {
namespace {

std::string join_list(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ",") + word;
  return text;
}

const char* persist_text(client::Persist persist) {
  if (persist == client::Persist::kOn) return "on";
  return persist == client::Persist::kOff ? "off" : "auto";
}

int run_ls(const Invocation& invocation) {
  const Result<client::ContextFile> file = load_contexts(invocation.globals);
  if (!file) return fail_with(invocation.globals, file.error());
  Listing listing;
  listing.headings = {{"CONTEXT"}, {"CURRENT"},   {"USER"},
                      {"CLUSTER"}, {"ADDRESSES"}, {"PERSIST", Column::kWide}};
  listing.nothing = "no contexts: rexec login rx1_…";
  for (const client::ContextEntry& entry : file->all()) {
    const bool is_current = entry.name == file->current();
    listing.add({entry.name, is_current ? "*" : "", entry.user, entry.cluster,
                 join_list(entry.addresses), persist_text(entry.persist)},
                entry.name,
                {{"name", entry.name},
                 {"current", is_current},
                 {"user", entry.user},
                 {"cluster", entry.cluster},
                 {"addresses", entry.addresses},
                 {"persist", persist_text(entry.persist)}});
  }
  return print_listing(invocation.globals, listing);
}

int run_use(const Invocation& invocation) {
  Result<client::ContextFile> file = load_contexts(invocation.globals);
  if (!file) return fail_with(invocation.globals, file.error());
  Result<void> done = file->use(invocation.args.word(0));
  if (done) done = file->save();
  return done ? 0 : fail_with(invocation.globals, done.error());
}

int run_rm(const Invocation& invocation) {
  Result<client::ContextFile> file = load_contexts(invocation.globals);
  if (!file) return fail_with(invocation.globals, file.error());
  std::string names;
  for (const std::string& name : invocation.args.words()) {
    if (const auto known = file->find(name); !known)
      return fail_with(invocation.globals, known.error());
    names += " " + printable(name);
  }
  const bool is_one = invocation.args.words().size() == 1;
  const int stop = confirm(invocation, (is_one ? "remove context" : "remove contexts") + names +
                                           (is_one ? " and its key?" : " and their keys?"));
  if (stop != 0) return stop;
  for (const std::string& name : invocation.args.words()) {
    end_kept_connection(file->directory(name));
    Result<void> done = file->remove(name);
    if (done) done = file->save();
    if (!done) return fail_with(invocation.globals, done.error());
  }
  return 0;
}

Result<client::ContextEntry> read_entry(const Args& args, const net::Credentials& credentials) {
  const auto ca = pki::parse_certificate(credentials.ca);
  if (!ca) return std::unexpected(ca.error());
  const auto leaf = pki::parse_certificate(credentials.certificate);
  if (!leaf) return std::unexpected(leaf.error());
  const auto identity =
      pki::verify_leaf(leaf->get(), ca->get(), wall_now(), pki::Accept::kExpiredToo);
  if (!identity) return std::unexpected(identity.error());
  client::ContextEntry entry;
  entry.name = args.word(0);
  entry.addresses = args.values("address");
  entry.cluster = identity->cluster;
  entry.user = args.value("user", identity->id);
  return entry;
}

int run_add(const Invocation& invocation) {
  const Args& args = invocation.args;
  const Globals& globals = invocation.globals;
  if (!args.has("address") || !args.has("credentials")) {
    return fail_with(globals, {Code::kUsage, "a context needs --address and --credentials",
                               "see: rexec context add --help\nwith a token: rexec login rx1_…"});
  }
  for (const std::string& address : args.values("address")) {
    const Result<void> good = pki::check_address(address);
    if (!good) return fail_with(globals, good.error());
  }
  const Result<void> free = check_context_free(globals, args.word(0));
  if (!free) return fail_with(globals, free.error());
  const Result<net::Credentials> credentials = client::load_credentials(args.value("credentials"));
  if (!credentials) return fail_with(globals, credentials.error());
  const Result<client::ContextEntry> entry = read_entry(args, *credentials);
  if (!entry) return fail_with(globals, entry.error());
  const Result<void> done = sign_in(globals, *entry, *credentials);
  return done ? 0 : fail_with(globals, done.error());
}

int run_persist(const Invocation& invocation) {
  const Globals& globals = invocation.globals;
  const std::string how = invocation.args.word(0);
  if (how != "on" && how != "off" && how != "auto") {
    return fail_with(globals,
                     {Code::kUsage, "persist: \"" + printable(how) + "\" is not on, off or auto",
                      "see: rexec context persist --help"});
  }
  Result<client::ContextFile> file = load_contexts(globals);
  if (!file) return fail_with(globals, file.error());
  Result<client::ContextEntry> entry = file->choose(globals.context);
  if (!entry) return fail_with(globals, entry.error());
  entry->persist = how == "on"    ? client::Persist::kOn
                   : how == "off" ? client::Persist::kOff
                                  : client::Persist::kAuto;
  file->put(*entry);
  const Result<void> saved = file->save();
  if (how == "off") end_kept_connection(file->directory(entry->name));
  return saved ? 0 : fail_with(globals, saved.error());
}

constexpr Flag kAddFlags[] = {
    {.name = "address",
     .value = "HOST:PORT",
     .help = "the controller; may be repeated",
     .often = Often::kRepeated},
    {.name = "credentials",
     .value = "DIR",
     .help = "with ca.der, cert.der and key.der",
     .choices = "@file"},
    {.name = "user", .value = "NAME", .help = "how to call yourself in the list"},
};
constinit const Verb kLs{
    .name = "ls", .summary = "the contexts", .run = run_ls, .formats = kAllFormats};
constinit const Verb kUse{.name = "use",
                          .summary = "make a context the current one",
                          .synopsis = "NAME",
                          .least = 1,
                          .most = 1,
                          .run = run_use,
                          .completes = "@context"};
constinit const Verb kAdd{.name = "add",
                          .summary = "add a context from existing credentials",
                          .synopsis = "[flags] NAME",
                          .flags = kAddFlags,
                          .least = 1,
                          .most = 1,
                          .run = run_add};
constinit const Verb kRm{.name = "rm",
                         .summary = "remove contexts and their keys",
                         .synopsis = "NAME…",
                         .least = 1,
                         .most = SIZE_MAX,
                         .run = run_rm,
                         .completes = "@context"};
constinit const Verb kPersist{
    .name = "persist",
    .summary = "keep the connection open for 10 minutes",
    .synopsis = "on|off|auto",
    .least = 1,
    .most = 1,
    .run = run_persist,
    .completes = "on|off|auto",
    .details =
        "auto: at a terminal, and not when CI is set. Of the current context, or --context NAME."};
constexpr const Verb* kSubs[] = {&kLs, &kUse, &kAdd, &kRm, &kPersist};

}  // namespace

constinit const Verb context_verb{.name = "context",
                                  .summary = "the controllers you are signed in to",
                                  .synopsis = "ls|use|add|rm|persist",
                                  .subs = kSubs};

}  // namespace rexec::cli
