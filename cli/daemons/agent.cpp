// `rexec agent run|status` and the hidden `agent-net`, the process that speaks to the network.
#include "src/agent/agent.hpp"

#include "cli/daemons/data_dir.hpp"
#include "cli/line/errors.hpp"
#include "cli/line/exit_status.hpp"
#include "cli/line/listing.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

Result<int> ready_fd(const Args& args) {
  if (!args.has("ready-fd")) return -1;
  const Result<std::uint64_t> fd = args.number("ready-fd", 0, 1'000'000);
  if (!fd) return std::unexpected(fd.error());
  return static_cast<int>(*fd);
}

// The agent takes the lock itself; this is for the words and the exit code. What else is wrong with
// the directory it says better too.
Result<void> check_free(const std::string& data) {
  const Result<wire::Map> found = agent::local_status(data);
  if (!found || !wire::bool_or(*found, "running", false)) return {};
  return fail(Code::kBusy,
              "another agent (pid " + std::to_string(wire::u64_or(*found, "pid", 0)) + ") uses " +
                  printable(data),
              "see: rexec agent status --data " + shell_quoted(data) +
                  "\nend that one first, or choose another --data");
}

int run(const Invocation& invocation) {
  const Result<std::string> data = data_dir(invocation.args, Daemon::kAgent);
  const Result<int> ready = ready_fd(invocation.args);
  if (!data) return fail_with(invocation.globals, data.error());
  if (!ready) return fail_with(invocation.globals, ready.error());
  const Result<void> free = check_free(*data);
  if (!free) return fail_with(invocation.globals, free.error());
  agent::RunOptions options;
  options.data_dir = *data;
  options.ready_fd = *ready;
  options.json_log = invocation.args.has("log-json");
  options.stop_jobs = invocation.args.has("stop-jobs");
  const int code = agent::run(options);
  // It has said what is wrong; the code is that of `controller run`.
  return code != 0 && !agent::load_config(*data) ? exit_of_error(Code::kConfig) : code;
}

int run_net(const Invocation& invocation) {
  const Result<int> ready = ready_fd(invocation.args);
  if (!ready) return fail_with(invocation.globals, ready.error());
  agent::NetOptions options;
  options.data_dir = invocation.args.value("data");
  options.ready_fd = *ready;
  options.json_log = invocation.args.has("log-json");
  return agent::run_net(options);
}

int status(const Invocation& invocation) {
  const Result<std::string> data = data_dir(invocation.args, Daemon::kAgent);
  if (!data) return fail_with(invocation.globals, data.error());
  const Result<wire::Map> found = agent::local_status(*data);
  if (!found) {
    print_error(invocation.globals, found.error());
    // A directory of nobody is a wrong --data, as it is for a controller.
    const Code code = found.error().code;
    return exit_of_error(code == Code::kNotSignedIn ? Code::kConfig : code);
  }
  print_object(invocation.globals, *found);
  return wire::bool_or(*found, "running", false) ? 0 : 1;
}

constexpr Flag kRunFlags[] = {
    kDataFlag,
    {.name = "ready-fd", .value = "N", .help = "one line of JSON there once the node is online"},
    {.name = "stop-jobs", .help = "a clean end stops the jobs too"},
    {.name = "log-json", .help = "log as JSON lines"},
};
constexpr Flag kStatusFlags[] = {kDataFlag};
constinit const Verb kRun{
    .name = "run",
    .summary = "the agent, in the foreground",
    .synopsis = "[flags]",
    .flags = kRunFlags,
    .run = run,
    .details =
        "TERM or INT ends the agent within 5 s, HUP is ignored; jobs live on and are adopted by\n"
        "the next one."};
constinit const Verb kStatus{.name = "status",
                             .summary = "the agent of this machine, without a network",
                             .synopsis = "[flags]",
                             .flags = kStatusFlags,
                             .run = status,
                             .details = "Exit 0 when it runs, 1 when it does not."};
constinit const Verb kInstall{.name = "install", .shown = Shown::kLater};
constinit const Verb kUninstall{.name = "uninstall", .shown = Shown::kLater};
constexpr const Verb* kSubs[] = {&kRun, &kStatus, &kInstall, &kUninstall};

}  // namespace

constinit const Verb agent_verb{.name = "agent",
                                .summary = "the agent of this machine",
                                .synopsis = "[run]|status",
                                .subs = kSubs,
                                .sub_by_default = "run"};
constinit const Verb agent_net_verb{
    .name = "agent-net", .flags = kRunFlags, .run = run_net, .shown = Shown::kHidden};

}  // namespace rexec::cli
