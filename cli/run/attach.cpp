// `rexec attach`: back to a job that runs, or to the output of one that ended, from any byte.
#include <unistd.h>

#include "cli/run/job_lookup.hpp"

namespace rexec::cli {
namespace {

Result<void> read(const Invocation& invocation, FollowOptions& into) {
  const Args& args = invocation.args;
  into.plan.targets = args.word(0);
  const Result<Millis> reconnect = args.duration("reconnect", into.plan.reconnect);
  if (!reconnect) return std::unexpected(reconnect.error());
  into.plan.reconnect = *reconnect;
  client::JobInfo where;
  const Result<void> from = read_from(args.value("from", "0"), where);
  if (!from) return from;
  into.status.file = args.value("status-file");
  const Result<void> status = check_status_target(into.status);
  if (!status) return status;
  Result<client::JobInfo> job = find_job(invocation.globals, args.word(0), where);
  if (!job) return std::unexpected(job.error());
  into.plan.jobs = {std::move(*job)};
  into.visit = Visit::kAttached;
  if (args.has("stdin") || args.has("tty")) into.plan.stdin_fd = STDIN_FILENO;
  into.job_terminal = args.has("tty");
  if (args.has("tty") && ::isatty(STDIN_FILENO) == 1) into.terminal = Terminal::kRaw;
  if (::isatty(STDOUT_FILENO) == 1) into.plan.pace = client::Pace::kReader;
  into.stamps = args.has("timestamps") ? Stamps::kTime : Stamps::kNone;
  return {};
}

int run(const Invocation& invocation) {
  FollowOptions options;
  options.globals = invocation.globals;
  const Result<void> done = read(invocation, options);
  return done ? follow(options) : fail_run(options, done.error());
}

constexpr Flag kFlags[] = {
    {.name = "from",
     .value = "WHERE",
     .help = "out=N,err=N or N: the byte to begin at (default 0)"},
    {'i', "stdin", {}, "forward stdin, from where the job's stdin is"},
    {'t', "tty", {}, "the job has a terminal: keys go to it; implies -i"},
    {.name = "reconnect", .value = "D", .help = "how long a lost link is waited for (default 5m)"},
    {.name = "status-file",
     .value = "FILE",
     .help = "write the status JSON there at the end",
     .choices = "@file"},
    {.name = "timestamps", .help = "before each line when the job wrote it"},
};
constexpr std::string_view kDetails =
    "Output begins at byte 0 unless --from says otherwise; leaving a job prints the position to\n"
    "come back to. Ctrl-C, Ctrl-\\ and exit codes are those of rexec run; TERM, HUP, a closed "
    "pipe\n"
    "or a full disk end the reading, never the job.";

}  // namespace

constinit const Verb attach_verb{.name = "attach",
                                 .summary = "come back to a job, from any byte of its output",
                                 .synopsis = "[flags] JOB",
                                 .flags = kFlags,
                                 .least = 1,
                                 .most = 1,
                                 .run = run,
                                 .completes = "@job",
                                 .details = kDetails,
                                 .usage_exit = 125};

}  // namespace rexec::cli
