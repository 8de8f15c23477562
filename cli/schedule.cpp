// `rexec schedule`: the noun and its table. When a rule fires is src/schedule.
#include "cli/schedule.hpp"

#include "cli/call.hpp"

namespace rexec::cli {
namespace {

int run_pause(const Invocation& invocation) {
  return call_for_each(invocation.globals, "schedule.pause", "name", invocation.args.words(),
                       "paused");
}

int run_resume(const Invocation& invocation) {
  return call_for_each(invocation.globals, "schedule.resume", "name", invocation.args.words(),
                       "resumed");
}

int run_rm(const Invocation& invocation) {
  return call_for_each(invocation.globals, "schedule.rm", "name", invocation.args.words(),
                       "removed");
}

constexpr Verb of_names(std::string_view name, std::string_view summary,
                        int (*run)(const Invocation&)) {
  return {.name = name,
          .summary = summary,
          .synopsis = "NAME…",
          .least = 1,
          .most = SIZE_MAX,
          .run = run};
}
constinit const Verb kPause = of_names("pause", "nothing fires until it is resumed", run_pause);
constinit const Verb kResume = of_names("resume", "fire again, from now on", run_resume);
constinit const Verb kRm = of_names("rm", "drop schedules; jobs that run go on", run_rm);
constexpr const Verb* kSubs[] = {&schedule_ls_verb,
                                 &schedule_add_verb,
                                 &schedule_show_verb,
                                 &kPause,
                                 &kResume,
                                 &schedule_next_verb,
                                 &kRm};

}  // namespace

constinit const Verb schedule_verb{.name = "schedule",
                                   .summary = "commands that run at set times",
                                   .synopsis = "ls|add|show|pause|resume|next|rm",
                                   .subs = kSubs};

}  // namespace rexec::cli
