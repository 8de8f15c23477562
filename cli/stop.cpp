// `rexec stop`: the whole tree of a job, TERM, then KILL. Returns when it has ended.
#include "cli/call.hpp"
#include "cli/errors.hpp"
#include "cli/listing.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

// A job may have ended before anybody stopped it.
std::string describe(const std::string& job, const wire::Map& answer) {
  const wire::Map& record = wire::child_or_empty(answer, "record");
  const std::string outcome = wire::text_or(record, "outcome", "stopped");
  if (outcome == "stopped") return "stopped " + printable(job) + "\n";
  const std::string code = outcome == "exited" ? " " + cell(record, "code") : "";
  return printable(job) + " has ended: " + printable(outcome) + code + "\n";
}

int run(const Invocation& invocation) {
  const Result<Millis> grace = invocation.args.duration("grace", Millis{5'000});
  if (!grace) return fail_with(invocation.globals, grace.error());
  return call_for_each(invocation.globals, "job.stop", "job", invocation.args.words(),
                       Describe(describe), {{"grace_ms", grace->count()}});
}

constexpr Flag kFlags[] = {
    {.name = "grace", .value = "D", .help = "from TERM to KILL (default 5s)"},
};

}  // namespace

constinit const Verb stop_verb{
    .name = "stop",
    .summary = "end jobs with every process they started",
    .synopsis = "[flags] JOB…",
    .flags = kFlags,
    .least = 1,
    .most = SIZE_MAX,
    .run = run,
    .completes = "@job",
    .details =
        "Every process of the job gets TERM and, after --grace, KILL. A job that has ended\n"
        "already is no error."};

}  // namespace rexec::cli
