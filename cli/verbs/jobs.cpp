// `rexec ps` and `rexec job ls|show|rm`: jobs, newest first.
#include "cli/line/cache.hpp"
#include "cli/line/call.hpp"
#include "cli/line/errors.hpp"
#include "cli/line/listing.hpp"
#include "cli/run/end_words.hpp"

namespace rexec::cli {
namespace {

// A thousand years: no job took longer, and its milliseconds are a number.
constexpr double kLongestS = 1000 * 366.0 * 86'400;

std::string elapsed(const wire::Map& job) {
  const wire::Map& record = wire::child_or_empty(job, "record");
  const auto wall = record.find("wall_s");
  if (wall == record.end() || !wall->is_number()) return "-";
  const auto seconds = wall->get<double>();
  if (!(seconds >= 0 && seconds < kLongestS)) return "-";
  return format_duration(Millis{static_cast<std::int64_t>(seconds * 1000)});
}

// It runs, for a script; for a person a job that stands still until something is done is another
// thing than one at work.
std::string state_cell(const wire::Map& job) {
  return wire::text_or(job, "held").empty() ? cell(job, "state") : "held";
}

std::string exit_cell(const wire::Map& job) {
  const wire::Map& record = wire::child_or_empty(job, "record");
  return record.contains("code") ? cell(record, "code") : "-";
}

constexpr std::uint64_t kMostListed = 1'000'000;

constexpr std::string_view kStates =
    "waiting|accepted|dispatched|running|restarting|exited|signaled|timeout|stopped|lost|"
    "unreachable|denied|not_started";

wire::Map read_filter(const Args& args) {
  wire::Map request{{"all", args.has("all") || args.has("state")}};
  for (const char* key : {"node", "state", "owner"})
    if (args.has(key)) request[key] = args.value(key);
  return request;
}

int run_ls(const Invocation& invocation) {
  const Args& args = invocation.args;
  const Result<std::uint64_t> limit = args.number("limit", 50, kMostListed, 1);
  if (!limit) return fail_with(invocation.globals, limit.error());
  if (args.has("state")) {
    const Result<std::string> state = args.choice("state", kStates, "");
    if (!state) return fail_with(invocation.globals, state.error());
  }
  wire::Map request = read_filter(args);
  const bool with_ended = wire::bool_or(request, "all", false);
  auto jobs = call_pages(invocation.globals, "job.ls", "jobs", std::move(request), *limit);
  if (!jobs) return fail_with(invocation.globals, jobs.error());
  Listing listing;
  listing.headings = {{"JOB"},
                      {"NODE"},
                      {"STATE"},
                      {"EXIT"},
                      {"OWNER", Column::kWide},
                      {"CREATED"},
                      {"TOOK", Column::kWide},
                      {"COMMAND"}};
  listing.nothing = with_ended ? "no jobs" : "no jobs are running; ended ones: rexec ps -a";
  for (wire::Map& job : wire::take_child(*jobs, "jobs")) {
    listing.add({cell(job, "job"), cell(job, "node"), state_cell(job), exit_cell(job),
                 cell(job, "owner"), cell(job, "created"), elapsed(job), cell(job, "command")},
                wire::text_or(job, "job"), std::move(job));
  }
  remember(invocation.globals, Remembered::kJobs, listing.names);
  return print_listing(invocation.globals, listing);
}

// For people the fields of output that is gone are one sentence.
void tell_lost_output(wire::Map& shown) {
  if (wire::text_or(shown, "unreachable").empty()) return;
  wire::Map record = wire::child_or_empty(shown, "record");
  for (const char* field : {"unreachable", "given_up"}) {
    if (const auto at = shown.find(field); at != shown.end()) record[field] = *at;
    shown.erase(field);
  }
  shown["output"] = unreachable_words(record, wire::text_or(shown, "node"),
                                      wire::text_or(shown, "job"), wall_now())
                        .message;
}

int run_show(const Invocation& invocation) {
  const Result<wire::Map> job =
      call(invocation.globals, "job.show", {{"job", invocation.args.word(0)}});
  if (!job) return fail_with(invocation.globals, job.error());
  wire::Map shown = *job;
  shown.erase("ticket");  // lets its holder attach
  if (invocation.globals.format == Format::kName)
    return print_out(wire::text_or(shown, "job") + "\n");
  if (!is_json(invocation.globals.format)) tell_lost_output(shown);
  return print_object(invocation.globals, shown);
}

int run_rm(const Invocation& invocation) {
  return call_for_each(invocation.globals, "job.rm", "job", invocation.args.words(), "removed");
}

constexpr Flag kLsFlags[] = {
    {'a', "all", {}, "ended jobs too"},
    {'n', "limit", "N", "the newest N, 1 to 1000000 (default 50)"},
    {.name = "node", .value = "NODE", .help = "only on that node", .choices = "@node"},
    {.name = "state",
     .value = "STATE",
     .help = "only in that state, ended or not",
     .choices = kStates},
    {.name = "owner", .value = "USER", .help = "only of that user"},
};
constinit const Verb kLs{.name = "ls",
                         .summary = "jobs, newest first",
                         .synopsis = "[flags]",
                         .flags = kLsFlags,
                         .run = run_ls,
                         .formats = kAllFormats};
constinit const Verb kShow{.name = "show",
                           .summary = "everything about a job",
                           .synopsis = "JOB",
                           .least = 1,
                           .most = 1,
                           .run = run_show,
                           .completes = "@job",
                           .formats = kNamedFormats};
constinit const Verb kRm{.name = "rm",
                         .summary = "forget jobs that ended or were not begun, and their output",
                         .synopsis = "JOB…",
                         .least = 1,
                         .most = SIZE_MAX,
                         .run = run_rm,
                         .completes = "@job",
                         .details =
                             "The --idempotency-key of a removed job is kept a week: a submit "
                             "with it is a\nconflict, never a second run."};
constexpr const Verb* kSubs[] = {&kLs, &kShow, &kRm};

}  // namespace

constinit const Verb ps_verb{.name = "ps",
                             .summary = "running jobs, newest first",
                             .synopsis = "[flags]",
                             .flags = kLsFlags,
                             .run = run_ls,
                             .formats = kAllFormats};
constinit const Verb job_verb{.name = "job",
                              .summary = "look at jobs, remove ended ones",
                              .synopsis = "ls|show|rm",
                              .subs = kSubs};

}  // namespace rexec::cli
