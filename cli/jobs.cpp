// `rexec ps` and `rexec job ls|show|rm`: jobs, newest first.
#include "cli/cache.hpp"
#include "cli/call.hpp"
#include "cli/errors.hpp"
#include "cli/listing.hpp"

namespace rexec::cli {
namespace {

std::string elapsed(const wire::Map& job) {
  const wire::Map& record = wire::child_or_empty(job, "record");
  const auto wall = record.find("wall_s");
  if (wall == record.end() || !wall->is_number()) return "-";
  return format_duration(Millis{static_cast<std::int64_t>(wall->get<double>() * 1000)});
}

std::string exit_cell(const wire::Map& job) {
  const wire::Map& record = wire::child_or_empty(job, "record");
  return record.contains("code") ? cell(record, "code") : "-";
}

int run_ls(const Invocation& invocation) {
  const Args& args = invocation.args;
  const Result<std::uint64_t> limit = args.number("limit", 50, 200, 1);
  if (!limit) return fail_with(invocation.globals, limit.error());
  wire::Map request{{"limit", *limit}, {"all", args.has("all")}};
  if (args.has("node")) request["node"] = args.value("node");
  const Result<wire::Map> answer = call(invocation.globals, "job.ls", std::move(request));
  if (!answer) return fail_with(invocation.globals, answer.error());
  Listing listing;
  listing.headings = {{"JOB"},
                      {"NODE"},
                      {"STATE"},
                      {"EXIT"},
                      {"OWNER", Column::kWide},
                      {"CREATED"},
                      {"TOOK", Column::kWide},
                      {"COMMAND"}};
  listing.nothing = args.has("all") ? "no jobs" : "no jobs are running; ended ones: rexec ps -a";
  for (const wire::Map& job : wire::child_or_empty(*answer, "jobs")) {
    listing.add({cell(job, "job"), cell(job, "node"), cell(job, "state"), exit_cell(job),
                 cell(job, "owner"), cell(job, "created"), elapsed(job), cell(job, "command")},
                wire::text_or(job, "job"), job);
  }
  remember(invocation.globals, Remembered::kJobs, listing.names);
  return print_listing(invocation.globals, listing);
}

int run_show(const Invocation& invocation) {
  const Result<wire::Map> job =
      call(invocation.globals, "job.show", {{"job", invocation.args.word(0)}});
  if (!job) return fail_with(invocation.globals, job.error());
  wire::Map shown = *job;
  shown.erase("ticket");  // lets its holder attach
  if (invocation.globals.format == Format::kName)
    return print_out(wire::text_or(shown, "job") + "\n");
  return print_object(invocation.globals, shown);
}

int run_rm(const Invocation& invocation) {
  return call_for_each(invocation.globals, "job.rm", "job", invocation.args.words(), "removed");
}

constexpr Flag kLsFlags[] = {
    {'a', "all", {}, "ended jobs too"},
    {'n', "limit", "N", "the newest N, 1 to 200 (default 50)"},
    {.name = "node", .value = "NODE", .help = "only on that node", .choices = "@node"},
};
constinit const Verb kLs{.name = "ls",
                         .summary = "jobs, newest first",
                         .synopsis = "[flags]",
                         .flags = kLsFlags,
                         .run = run_ls};
constinit const Verb kShow{.name = "show",
                           .summary = "everything about a job",
                           .synopsis = "JOB",
                           .least = 1,
                           .most = 1,
                           .run = run_show,
                           .completes = "@job"};
constinit const Verb kRm{.name = "rm",
                         .summary = "forget ended jobs and their output",
                         .synopsis = "JOB…",
                         .least = 1,
                         .most = SIZE_MAX,
                         .run = run_rm,
                         .completes = "@job"};
constexpr const Verb* kSubs[] = {&kLs, &kShow, &kRm};

}  // namespace

constinit const Verb ps_verb{.name = "ps",
                             .summary = "running jobs, newest first",
                             .synopsis = "[flags]",
                             .flags = kLsFlags,
                             .run = run_ls};
constinit const Verb job_verb{.name = "job",
                              .summary = "look at jobs, remove ended ones",
                              .synopsis = "ls|show|rm",
                              .subs = kSubs};

}  // namespace rexec::cli
