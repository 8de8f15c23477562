// `rexec run`: a command on one node or several, live, with its exit code.
#include "cli/run/run_flags.hpp"

namespace rexec::cli {
namespace {

int run(const Invocation& invocation) {
  const Manner manner = invocation.args.has("detach") ? Manner::kDetached : Manner::kForeground;
  FollowOptions options;
  const Result<void> read = read_run(invocation, manner, options);
  return read ? follow(options) : fail_run(options, read.error());
}

constexpr std::string_view kDetails =
    "TARGET is node42, a,b, node[01-20] or @all. Everything after the word that follows TARGET\n"
    "belongs to the command; no shell sees it. Exit: the command's own code, 128+n by signal n,\n"
    "120 refused, 121 lost or left, 122 output incomplete, 123 several nodes, 124 timeout,\n"
    "125 not started, 126/127 not executable or not found.\n"
    "Ctrl-C: INT; again: stop; a third time: leave. Ctrl-\\ leaves the job running.\n\n"
    "examples:\n"
    "  rexec run node42 -- make -j8\n"
    "  tar c . | rexec run -i node42 -- tar x -C /srv/app\n"
    "  rexec run --timeout 10m --sh 'make test 2>&1 | tee log' node42\n"
    "  rexec run -it node42 top";

}  // namespace

constinit const Verb run_verb{.name = "run",
                              .summary = "run a command, stream it live, exit with its code",
                              .synopsis = "[flags] TARGET [--] CMD [ARG…]",
                              .flags = kRunFlags,
                              .words = Words::kCommand,
                              .least = 1,
                              .most = SIZE_MAX,
                              .run = run,
                              .completes = "@target :command :file",
                              .details = kDetails,
                              .usage_exit = 125,
                              .formats = kAllFormats};

}  // namespace rexec::cli
