// `rexec shell`: the user's login shell on a terminal.
#include "cli/run/run_flags.hpp"

namespace rexec::cli {
namespace {

int run(const Invocation& invocation) {
  FollowOptions options;
  const Result<void> read = read_run(invocation, Manner::kShell, options);
  return read ? follow(options) : fail_run(options, read.error());
}

constexpr std::string_view kDetails =
    "The keys go to the shell. Enter ~ . leaves it running (rexec attach -t brings it back),\n"
    "Enter ~ Ctrl-Z suspends the client, Enter ~ ~ types one tilde.";

}  // namespace

constinit const Verb shell_verb{.name = "shell",
                                .summary = "a login shell on a node",
                                .synopsis = "[flags] NODE",
                                .flags = kShellFlags,
                                .least = 1,
                                .most = 1,
                                .run = run,
                                .completes = "@node",
                                .details = kDetails,
                                .usage_exit = 125,
                                .formats = kOnlyText};

}  // namespace rexec::cli
