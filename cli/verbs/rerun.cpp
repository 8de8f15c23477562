// `rexec rerun`: a job once more, as a new one.
#include "cli/line/call.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

std::string describe(const std::string&, const wire::Map& answer) {
  return printable(wire::text_or(answer, "job")) + "\n";
}

int run(const Invocation& invocation) {
  return call_for_each(invocation.globals, "job.rerun", "job", invocation.args.words(),
                       Describe(describe));
}

}  // namespace

constinit const Verb rerun_verb{
    .name = "rerun",
    .summary = "run jobs once more, print the new ids",
    .synopsis = "JOB…",
    .least = 1,
    .most = SIZE_MAX,
    .run = run,
    .completes = "@job",
    .details =
        "The same command on the same node with the same environment and limits, detached and as\n"
        "you. It waits for nothing that the first one waited for but its locks, and has no stdin\n"
        "and no terminal.\n\n"
        "example:\n"
        "  rexec attach $(rexec rerun j-4k2m)",
    .formats = kNamedFormats};

}  // namespace rexec::cli
