// `rexec wait`: until jobs have ended, with their exit code. A lost link is waited out.
#include <ctime>

#include "cli/call.hpp"
#include "cli/errors.hpp"
#include "cli/exit_status.hpp"
#include "cli/listing.hpp"

namespace rexec::cli {
namespace {

bool may_come_back(Code code) { return code == Code::kLinkLost || code == Code::kControllerDown; }

// The job when it is final.
Result<wire::Map> wait_for(const Globals& globals, const std::string& job, Millis reconnect) {
  bool ever_reached = false;
  BootTime away_since = BootClock::now();
  while (true) {
    Result<wire::Map> ended = call(globals, "job.wait", {{"job", job}});
    if (ended || !may_come_back(ended.error().code)) return ended;
    // An answer that was cut off came from somebody: the patience begins anew.
    if (ended.error().code == Code::kLinkLost) {
      ever_reached = true;
      away_since = BootClock::now();
    }
    if (!ever_reached || BootClock::now() - away_since > reconnect) return ended;
    const timespec pause{0, 200'000'000};
    ::clock_nanosleep(CLOCK_BOOTTIME, 0, &pause, nullptr);
  }
}

int run(const Invocation& invocation) {
  const Globals& globals = invocation.globals;
  const Result<Millis> reconnect = invocation.args.duration("reconnect", std::chrono::minutes(5));
  if (!reconnect) {
    print_error(globals, reconnect.error());
    return kExitNotStarted;
  }
  std::vector<int> codes;
  Listing ends;
  for (const std::string& job : invocation.args.words()) {
    const Result<wire::Map> ended = wait_for(globals, job, *reconnect);
    if (!ended) {
      print_error(globals, ended.error());
      codes.push_back(exit_of_failure(ended.error().code));
      continue;
    }
    const wire::Map& record = wire::child_or_empty(*ended, "record");
    codes.push_back(exit_of_record(record));
    ends.add({}, wire::text_or(*ended, "job"), record);
  }
  const bool is_json = globals.format == Format::kJson || globals.format == Format::kJsonl;
  if (is_json && ends.objects.size() == 1) {
    print_object(globals, ends.objects.front());
  } else if (is_json) {
    print_out(format_listing(ends, globals.format));
  }
  return exit_of_several(codes, ExitRule::kSeveral);
}

constexpr Flag kFlags[] = {
    {.name = "reconnect", .value = "D", .help = "how long a lost link is waited for (default 5m)"},
};
constexpr std::string_view kDetails =
    "One job: its exit code, as rexec run would have exited. Several: 0 when all succeeded, else\n"
    "123. With --json the end records.";

}  // namespace

constinit const Verb wait_verb{.name = "wait",
                               .summary = "wait for jobs, exit with their code",
                               .synopsis = "[flags] JOB…",
                               .flags = kFlags,
                               .least = 1,
                               .most = SIZE_MAX,
                               .run = run,
                               .completes = "@job",
                               .details = kDetails,
                               .usage_exit = 125};

}  // namespace rexec::cli
