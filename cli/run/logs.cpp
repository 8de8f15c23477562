// `rexec logs`: what a job has written, and with -f what it goes on to write. Reading logs never
// holds a job back and never touches it.
#include "cli/line/errors.hpp"
#include "cli/run/job_lookup.hpp"

namespace rexec::cli {
namespace {

Result<void> read(const Invocation& invocation, FollowOptions& into) {
  const Args& args = invocation.args;
  into.plan.targets = args.word(0);
  into.globals = invocation.globals;
  into.quiet_end = !args.has("follow");
  client::JobInfo where;
  const Result<void> from = read_from(args.value("from", "0"), where);
  if (!from) return from;
  Result<client::JobInfo> job = find_job(invocation.globals, args.word(0), where);
  if (!job) return std::unexpected(job.error());
  if (!args.has("from")) job->attempt = 1;  // of a restarted job: each attempt in turn
  into.plan.jobs = {std::move(*job)};
  into.plan.hold = client::Hold::kNo;
  into.visit = Visit::kReader;
  if (into.quiet_end) into.plan.follow = client::Follow::kWhatIsThere;
  into.stamps = args.has("timestamps") ? Stamps::kTime : Stamps::kNone;
  return {};
}

int run(const Invocation& invocation) {
  FollowOptions options;
  options.globals = invocation.globals;
  const Result<void> done = read(invocation, options);
  if (done) return follow(options);
  // Without -f logs is a command like others.
  return options.quiet_end ? fail_with(options.globals, done.error())
                           : fail_run(options, done.error());
}

constexpr Flag kFlags[] = {
    {'f', "follow", {}, "until the job ends; exit with its code"},
    {.name = "from",
     .value = "WHERE",
     .help = "out=N,err=N or N: the byte to begin at (default 0)"},
    {.name = "timestamps", .help = "before each line when the job wrote it"},
};
constexpr std::string_view kDetails =
    "stdout carries the job's stdout, stderr its stderr. With -f Ctrl-C ends the reading, not the\n"
    "job.";

}  // namespace

constinit const Verb logs_verb{.name = "logs",
                               .summary = "the output of a job",
                               .synopsis = "[flags] JOB",
                               .flags = kFlags,
                               .least = 1,
                               .most = 1,
                               .run = run,
                               .completes = "@job",
                               .details = kDetails,
                               .follows_with = "follow"};

}  // namespace rexec::cli
