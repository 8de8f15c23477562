// `rexec schedule`: the noun and its table. When a rule fires is src/schedule.
#include "cli/verbs/schedule.hpp"

#include "cli/line/call.hpp"
#include "cli/line/errors.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

// Whoever changes a schedule has to know where the change has not arrived.
void say_unheard(const Globals& globals, const std::string& schedule, const wire::Map& answer) {
  const wire::Map& unheard = wire::child_or_empty(answer, "unheard");
  if (unheard.empty()) return;
  std::string names;
  for (const wire::Map& name : unheard)
    if (name.is_string()) names += " " + printable(name.get<std::string>());
  if (const auto more = wire::u64_or(answer, "unheard_more", 0); more > 0)
    names += " and " + std::to_string(more) + " more";
  print_notice(globals, "schedule " + printable(schedule) +
                            ": offline and as before until they hear of it:" + names);
}

int change_each(const Invocation& invocation, const std::string& verb, const std::string& done) {
  const Globals& globals = invocation.globals;
  const auto describe = [&](const std::string& name, const wire::Map& answer) {
    say_unheard(globals, name, answer);
    return done + " " + printable(name) + "\n";
  };
  return call_for_each(globals, verb, "name", invocation.args.words(), Describe(describe));
}

int run_pause(const Invocation& invocation) {
  return change_each(invocation, "schedule.pause", "paused");
}

int run_resume(const Invocation& invocation) {
  return change_each(invocation, "schedule.resume", "resumed");
}

int run_rm(const Invocation& invocation) {
  return change_each(invocation, "schedule.rm", "removed");
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
