// `rexec controller init|run|status|install`: the controller on this machine.
#include <unistd.h>

#include "cli/daemons/controller_backup.hpp"
#include "cli/daemons/data_dir.hpp"
#include "cli/daemons/systemd.hpp"
#include "cli/line/errors.hpp"
#include "cli/line/exit_status.hpp"
#include "cli/line/listing.hpp"
#include "cli/line/sign_in.hpp"
#include "src/base/text.hpp"
#include "src/controller/server/server.hpp"

namespace rexec::cli {
namespace {

Result<void> keep_admin(const Globals& globals, const controller::InitOptions& options,
                        const controller::InitResult& made, const std::string& context) {
  client::ContextEntry entry;
  entry.name = context;
  entry.addresses = made.addresses;
  entry.cluster = made.cluster;
  entry.user = options.admin;
  entry.data = options.data_dir;
  return sign_in(globals, std::move(entry), {made.ca, made.admin_certificate, made.admin_key});
}

int tell(const Globals& globals, const controller::InitResult& made, const std::string& data,
         const std::string& context) {
  if (globals.format == Format::kJson || globals.format == Format::kJsonl) {
    return print_object(globals, {{"cluster", made.cluster},
                                  {"listen", made.listen},
                                  {"addresses", made.addresses},
                                  {"data", data},
                                  {"context", context},
                                  {"admin_id", made.admin_id},
                                  {"node_token", made.node_token},
                                  {"join", "rexec join " + made.node_token}});
  }
  print_notice(globals, "controller \"" + made.cluster + "\" is set up; your context is \"" +
                            context + "\"");
  print_notice(globals,
               (::geteuid() == 0 && has_systemd() ? "start it: rexec controller install --data "
                                                  : "start it: rexec controller run --data ") +
                   shell_quoted(data));
  print_notice(globals, "then paste this on a first node:");
  return print_out("rexec join " + made.node_token + "\n");
}

int init(const Invocation& invocation) {
  const Args& args = invocation.args;
  const Globals& globals = invocation.globals;
  const Result<std::string> data = data_dir(args, Daemon::kController);
  if (!data) return fail_with(globals, data.error());
  controller::InitOptions options;
  options.data_dir = *data;
  options.listen = args.value("listen", options.listen);
  options.advertise = args.values("advertise");
  options.cluster = args.value("cluster");
  options.admin = args.value("admin", options.admin);
  const std::string wanted = globals.context.empty() ? options.cluster : globals.context;
  const Result<void> free = check_context_free(globals, wanted);
  if (!free) return fail_with(globals, free.error());
  const Result<controller::InitResult> made = controller::init(options);
  if (!made) return fail_with(globals, made.error());
  const std::string context = wanted.empty() ? made->cluster : wanted;
  const Result<void> kept = keep_admin(globals, options, *made, context);
  if (!kept) return fail_with(globals, kept.error());
  return tell(globals, *made, *data, context);
}

int run(const Invocation& invocation) {
  const Result<std::string> data = data_dir(invocation.args, Daemon::kController);
  if (!data) return fail_with(invocation.globals, data.error());
  controller::ServeOptions options;
  options.data_dir = *data;
  options.json_log = invocation.args.has("log-json");
  if (invocation.args.has("ready-fd")) {
    const Result<std::uint64_t> fd = invocation.args.number("ready-fd", 0, 1'000'000);
    if (!fd) return fail_with(invocation.globals, fd.error());
    options.ready_fd = static_cast<int>(*fd);
  }
  const Result<void> served = controller::serve(options);
  return served ? 0 : exit_of_error(served.error().code);
}

int install(const Invocation& invocation) {
  const Globals& globals = invocation.globals;
  const Result<std::string> data = data_dir(invocation.args, Daemon::kController);
  if (!data) return fail_with(globals, data.error());
  const Result<wire::Map> found = controller::local_status(*data);
  if (!found) return fail_with(globals, found.error());
  const std::string by_hand =
      "start it by hand: rexec controller run --data " + shell_quoted(*data);
  if (::geteuid() != 0)
    return fail_with(globals, {Code::kDenied, "only root may install a service", by_hand});
  if (!has_systemd())
    return fail_with(globals, {Code::kConfig, "systemd does not run this machine", by_hand});
  const Result<void> started = start_controller_unit(*data);
  if (!started) return fail_with(globals, started.error());
  print_notice(globals, "the controller runs, and starts with this machine");
  return print_out("rexec-controller.service\n");
}

int status(const Invocation& invocation) {
  const Result<std::string> data = data_dir(invocation.args, Daemon::kController);
  if (!data) return fail_with(invocation.globals, data.error());
  const Result<wire::Map> found = controller::local_status(*data);
  if (!found) return fail_with(invocation.globals, found.error());
  print_object(invocation.globals, *found);
  return wire::bool_or(*found, "running", false) ? 0 : 1;
}

constexpr Flag kInitFlags[] = {
    kDataFlag,
    {.name = "listen",
     .value = "HOST:PORT",
     .help = "default 0.0.0.0:7443; port 0 picks a free one and keeps it"},
    {.name = "advertise",
     .value = "HOST:PORT",
     .help = "what nodes and people dial; may be repeated (default: from --listen)",
     .often = Often::kRepeated},
    {.name = "cluster", .value = "NAME", .help = "the cluster's name (default: a random one)"},
    {.name = "admin", .value = "NAME", .help = "the first user (default admin)"},
};
constexpr Flag kRunFlags[] = {
    kDataFlag,
    {.name = "ready-fd", .value = "N", .help = "one line of JSON there once it listens"},
    {.name = "log-json", .help = "log as JSON lines"},
};
constexpr Flag kStatusFlags[] = {kDataFlag};
constinit const Verb kInit{
    .name = "init",
    .summary = "make a certificate authority, a store and a first admin",
    .synopsis = "[flags]",
    .flags = kInitFlags,
    .run = init,
    .details =
        "Prints the line to paste on a first node. The caller becomes the admin: a context\n"
        "with its key is written (--context NAME, default the cluster's name)."};
constinit const Verb kRun{
    .name = "run",
    .summary = "the controller, in the foreground",
    .synopsis = "[flags]",
    .flags = kRunFlags,
    .run = run,
    .details = "TERM or INT ends it within 5 s, HUP is ignored; jobs live on."};
constinit const Verb kInstall{
    .name = "install",
    .summary = "the controller as a service of systemd",
    .synopsis = "[flags]",
    .flags = kStatusFlags,
    .run = install,
    .details = "As root: writes rexec-controller.service, enables and starts it."};
constinit const Verb kStatus{.name = "status",
                             .summary = "the controller of this machine, without a network",
                             .synopsis = "[flags]",
                             .flags = kStatusFlags,
                             .run = status,
                             .details = "Exit 0 when it runs, 1 when it does not."};
constexpr const Verb* kSubs[] = {&kInit,
                                 &kRun,
                                 &kInstall,
                                 &kStatus,
                                 &controller_check_verb,
                                 &controller_backup_verb,
                                 &controller_restore_verb};

}  // namespace

constinit const Verb controller_verb{.name = "controller",
                                     .summary = "the controller on this machine",
                                     .synopsis = "[run]|init|install|status|check|backup|restore",
                                     .subs = kSubs,
                                     .sub_by_default = "run"};

}  // namespace rexec::cli
