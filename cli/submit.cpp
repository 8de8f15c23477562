// `rexec submit`: the same as `run -d`, under the name that says so.
#include "cli/run_flags.hpp"

namespace rexec::cli {
namespace {

int run(const Invocation& invocation) {
  FollowOptions options;
  const Result<void> read = read_run(invocation, Manner::kDetached, options);
  return read ? follow(options) : fail_run(options, read.error());
}

constexpr std::string_view kDetails =
    "Prints the job's id, alone, once the job is durable; one line for each node of TARGET.\n"
    "The job goes on without you (--on-disconnect keep).\n\n"
    "example:\n"
    "  job=$(rexec submit node42 -- make -j8) && rexec wait $job";

}  // namespace

constinit const Verb submit_verb{.name = "submit",
                                 .summary = "run a command detached, print the job id",
                                 .synopsis = "[flags] TARGET [--] CMD [ARG…]",
                                 .flags = kSubmitFlags,
                                 .words = Words::kCommand,
                                 .least = 1,
                                 .most = SIZE_MAX,
                                 .run = run,
                                 .completes = "@target :command :file",
                                 .details = kDetails,
                                 .usage_exit = 125};

}  // namespace rexec::cli
