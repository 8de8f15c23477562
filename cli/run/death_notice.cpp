// See death_notice.hpp; at the end `rexec __client-ended`, the program that says it (hidden).
#include "cli/run/death_notice.hpp"

#include <algorithm>
#include <thread>

#include "cli/line/call.hpp"
#include "cli/line/exit_status.hpp"
#include "src/os/exec_on_death.hpp"

namespace rexec::cli {
namespace {

constexpr std::string_view kVerb = "__client-ended";
// More than a command line can have: then the rule for a silent client counts.
constexpr std::size_t kMostJobs = 20'000;

// A controller or a node may be away at that moment, and a controller that is back learns of the
// job from its node. All pauses together are some 20 s: a restart takes less; after a longer outage
// the node counts the client's silence.
constexpr int kMostTries = 15;
constexpr Millis kShortestPause{100};
constexpr Millis kLongestPause{2'000};

// Errors that may be gone at the next try.
bool may_pass(Code code) {
  return code == Code::kControllerDown || code == Code::kLinkLost || code == Code::kNodeOffline ||
         code == Code::kTimeout || code == Code::kBusy || code == Code::kUnknownJob;
}

// Returns the jobs whose client's end the controller has not taken yet.
std::vector<wire::Map> tell(const Globals& globals, const std::vector<wire::Map>& jobs) {
  std::vector<wire::Map> left;
  std::size_t answered = 0;
  const auto called = call_many(globals, "job.client_ended", jobs,
                                [&](std::size_t index, const Result<wire::Map>& answer) {
                                  ++answered;
                                  if (!answer && may_pass(answer.error().code))
                                    left.push_back(jobs[index]);
                                });
  if (called || !may_pass(called.error().code)) return left;
  return answered == 0 ? jobs : left;
}

int run(const Invocation& invocation) {
  std::vector<wire::Map> jobs;
  for (const std::string& job : invocation.args.words()) jobs.push_back({{"job", job}});
  Millis pause = kShortestPause;
  for (int tries = 1; tries <= kMostTries; ++tries) {
    jobs = tell(invocation.globals, jobs);
    if (jobs.empty()) return 0;
    // Nothing else is to be done in this program, and nothing tells when the outage is over.
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, kLongestPause);
  }
  return kExitLost;
}

}  // namespace

DeathNotice::DeathNotice(const FollowOptions& options, std::string context)
    : options_(options), context_(std::move(context)) {}
DeathNotice::~DeathNotice() = default;

void DeathNotice::prepare(const std::vector<std::string>& jobs) {
  const bool goes_on = options_.on_disconnect == "keep" || options_.plan.mode == "detached";
  if (is_withdrawn_ || watch_ || !options_.ends_with_client() || goes_on) return;
  if (jobs.empty() || jobs.size() > kMostJobs) return;
  std::vector<std::string> argv{"rexec", std::string(kVerb), "--context", context_};
  if (!options_.globals.config.empty()) {
    argv.emplace_back("--config");
    argv.push_back(options_.globals.config);
  }
  argv.insert(argv.end(), jobs.begin(), jobs.end());
  watch_ = std::make_unique<os::ExecOnDeath>();
  static_cast<void>(watch_->arm("/proc/self/exe", argv));
}

void DeathNotice::withdraw() {
  is_withdrawn_ = true;
  watch_.reset();
}

bool DeathNotice::hand_over() {
  if (!watch_) return false;
  watch_->let_go();
  withdraw();
  return true;
}

constinit const Verb client_ended_verb{.name = kVerb,
                                       .synopsis = "JOB…",
                                       .least = 1,
                                       .most = kMostJobs,
                                       .run = run,
                                       .shown = Shown::kHidden};

}  // namespace rexec::cli
