// `rexec wait`: until jobs have ended, with their exit code. A lost link is waited out.
#include <ctime>
#include <optional>
#include <utility>

#include "cli/line/call.hpp"
#include "cli/line/errors.hpp"
#include "cli/line/exit_status.hpp"
#include "cli/line/listing.hpp"
#include "cli/run/end_words.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

bool may_come_back(Code code) { return code == Code::kLinkLost || code == Code::kControllerDown; }

// Asks for all of the jobs side by side, and says of each what there is to say when it is known.
class Waiter {
 public:
  Waiter(const Globals& globals, const std::vector<std::string>& jobs, Millis reconnect)
      : globals_(globals), jobs_(jobs), reconnect_(reconnect), ended_(jobs.size()) {
    for (std::size_t i = 0; i < jobs.size(); ++i) open_.push_back(i);
  }

  void run() {
    while (!open_.empty()) {
      const std::optional<Error> why = ask();
      if (open_.empty()) return;
      if (!ever_reached_ || BootClock::now() - away_since_ > reconnect_) return give_up(*why);
      const timespec pause{0, 200'000'000};
      ::clock_nanosleep(CLOCK_BOOTTIME, 0, &pause, nullptr);
    }
  }

  const std::vector<int>& codes() const { return codes_; }
  // In the order of the words; null where there is none.
  const std::vector<wire::Map>& ended() const { return ended_; }

 private:
  // What keeps open_ from being empty.
  std::optional<Error> ask() {
    std::vector<wire::Map> args;
    const std::vector<std::size_t> asked = std::exchange(open_, {});
    for (const std::size_t index : asked)
      args.push_back(
          {{"job", jobs_[index]}, {"away_ms", std::max<std::int64_t>(reconnect_.count(), 1)}});
    std::optional<Error> why;
    const auto take = [&](std::size_t at, const Result<wire::Map>& answer) {
      if (!answer && may_come_back(answer.error().code)) {
        why = answer.error();
        return open_.push_back(asked[at]);
      }
      settle(asked[at], answer);
    };
    const auto called = call_many(globals_, "job.wait", args, take);
    if (called) {
      // An answer that was cut off came from somebody: the patience begins anew.
      ever_reached_ = true;
      away_since_ = BootClock::now();
      return why;
    }
    open_ = asked;
    if (!may_come_back(called.error().code)) ever_reached_ = false;
    return called.error();
  }

  void settle(std::size_t index, const Result<wire::Map>& answer) {
    const std::string prefix = jobs_.size() > 1 ? printable(jobs_[index]) + ": " : "";
    if (!answer) {
      Error why = answer.error();
      if (why.code == Code::kNodeOffline) why = away_too_long(why);
      why.message = prefix + why.message;
      return fail_jobs(why, 1);
    }
    const wire::Map& record = wire::child_or_empty(*answer, "record");
    codes_.push_back(exit_of_command(record));
    ended_[index] = *answer;
    const EndWords words = end_words({wire::text_or(*answer, "node"), prefix, {}, {}}, record);
    if (words.failure) print_error(globals_, *words.failure);
    if (!words.ending.empty()) print_ending(words.ending);
    for (const std::string& remark : words.remarks) print_notice(globals_, remark);
  }

  // Of one among several: why 123, which no flag makes silent.
  void print_ending(const std::string& ending) const {
    Globals globals = globals_;
    globals.quiet = globals.quiet && jobs_.size() == 1;
    print_notice(globals, ending);
  }

  static Error away_too_long(const Error& why) {
    return {Code::kLinkLost, "the link was away for longer than --reconnect: " + why.message,
            why.hint};
  }

  // Where nobody ever answered it is not known whether there are such jobs.
  void give_up(const Error& why) {
    Error said = ever_reached_ ? away_too_long(why) : why;
    if (jobs_.size() > 1) {
      said.message += "; not known of:";
      for (const std::size_t index : open_) said.message += " " + printable(jobs_[index]);
    }
    fail_jobs(said, open_.size());
    open_.clear();
  }

  void fail_jobs(const Error& why, std::size_t jobs) {
    print_error(globals_, why);
    codes_.insert(codes_.end(), jobs, exit_of_failure(why.code));
  }

  const Globals& globals_;
  const std::vector<std::string>& jobs_;
  const Millis reconnect_;
  std::vector<std::size_t> open_;
  std::vector<int> codes_;
  std::vector<wire::Map> ended_;
  bool ever_reached_ = false;
  BootTime away_since_ = BootClock::now();
};

int run(const Invocation& invocation) {
  const Globals& globals = invocation.globals;
  const Result<Millis> reconnect = invocation.args.duration("reconnect", std::chrono::minutes(5));
  if (!reconnect) {
    print_error(globals, reconnect.error());
    return kExitNotStarted;
  }
  Waiter waiter(globals, invocation.args.words(), *reconnect);
  waiter.run();
  Listing ends;
  for (const wire::Map& ended : waiter.ended())
    if (!ended.is_null())
      ends.add({}, wire::text_or(ended, "job"), wire::Map(wire::child_or_empty(ended, "record")));
  const bool is_json = globals.format == Format::kJson || globals.format == Format::kJsonl;
  if (is_json && ends.objects.size() == 1) {
    print_object(globals, ends.objects.front());
  } else if (is_json) {
    print_out(format_listing(ends, globals.format));
  }
  return exit_of_several(waiter.codes(), ExitRule::kSeveral);
}

constexpr Flag kFlags[] = {
    {.name = "reconnect", .value = "D", .help = "how long a lost link is waited for (default 5m)"},
};
constexpr std::string_view kDetails =
    "One job: its exit code, as rexec run would have exited; output that nobody read and that the\n"
    "node no longer keeps is said, and changes no code. Several: 0 when all succeeded, else 123,\n"
    "and each that did not is named. With --json the end records.";

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
