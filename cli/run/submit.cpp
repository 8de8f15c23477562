// `rexec submit`: the same as `run -d`, under the name that says so; with --dag a file of jobs.
#include <array>

#include "cli/run/run_flags.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

constexpr auto kFlags = [] {
  std::array<Flag, kSubmitFlags.size() + 1> flags{kDagFlag};
  for (std::size_t i = 0; i < kSubmitFlags.size(); ++i) {
    flags[i + 1] = kSubmitFlags[i];
    if (is_about_watching(kSubmitFlags[i].name)) flags[i + 1].standing = Standing::kHidden;
    if (kSubmitFlags[i].name == "on-disconnect") {
      flags[i + 1].help = "keep, as a detached job always is";
      flags[i + 1].choices = "keep";
    }
    if (kSubmitFlags[i].name == "status-file")
      flags[i + 1].help = "write there as JSON which jobs were accepted";
    if (kSubmitFlags[i].name == "status-fd") flags[i + 1].help = "write that to this descriptor";
  }
  return flags;
}();

// What a file says of each job cannot be said for all of them again.
Result<void> read_file_of_jobs(const Args& args, FollowOptions& into) {
  if (!args.words().empty())
    return fail(Code::kUsage,
                "--dag: its file names targets and commands, but \"" +
                    printable(args.word(0).substr(0, 64)) + "\" was given too",
                "usage: rexec submit --dag FILE");
  for (const Flag& flag : kSubmitFlags)
    if (args.has(flag.name) && flag.name != "idempotency-key")
      return fail(Code::kUsage, "--dag and --" + std::string(flag.name) + " do not go together",
                  "what is about one job goes into its table, as a key of the same name");
  auto dag = read_dag(args.value("dag"));
  if (!dag) return std::unexpected(dag.error());
  into.plan.dag = std::move(*dag);
  into.plan.targets = args.value("dag");
  into.plan.mode = "detached";
  if (args.has("idempotency-key")) {
    into.plan.request = request_of_key(args.value("idempotency-key"));
    into.plan.key = client::RequestKey::kChosen;
  }
  return {};
}

int run(const Invocation& invocation) {
  FollowOptions options;
  options.globals = invocation.globals;
  Result<void> read;
  if (invocation.args.has("dag"))
    read = read_file_of_jobs(invocation.args, options);
  else if (invocation.args.words().empty())
    read = fail(Code::kUsage, "rexec submit: missing argument: TARGET",
                "usage: rexec submit " + std::string(invocation.verb.synopsis) +
                    "\nsee: rexec submit --help");
  else
    read = read_run(invocation, Manner::kDetached, options);
  return read ? follow(options) : fail_run(options, read.error());
}

constexpr std::string_view kDetails =
    "Prints the job's id, alone, once the job is durable; one line for each node of TARGET.\n"
    "The job goes on without you.\n"
    "With --dag all jobs of FILE are accepted, or none: NAME, JOB and NODE, a line each.\n\n"
    "examples:\n"
    "  job=$(rexec submit node42 -- make -j8) && rexec wait $job\n"
    "  rexec submit --after $job --lock deploy node42 -- ./deploy\n"
    "  rexec submit --dag jobs.toml";

}  // namespace

constinit const Verb submit_verb{.name = "submit",
                                 .summary = "run a command detached, print the job id",
                                 .synopsis = "[flags] TARGET [--] CMD [ARG…] | --dag FILE",
                                 .flags = kFlags,
                                 .words = Words::kCommand,
                                 .least = 0,
                                 .most = SIZE_MAX,
                                 .run = run,
                                 .completes = "@target :command :file",
                                 .details = kDetails,
                                 .usage_exit = 125,
                                 .formats = kAllFormats};

}  // namespace rexec::cli
