// From a Start to a shim with its order. See attempts.hpp.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "src/base/cut_text.hpp"
#include "src/base/fail_point.hpp"
#include "src/base/log.hpp"
#include "src/base/text.hpp"
#include "src/job/spawner/attempts.hpp"
#include "src/os/room.hpp"
#include "src/os/seqpacket.hpp"

namespace rexec::job {
namespace {

// So long the plan is kept for another try; after it the journal has everything.
constexpr Nanos kKeepPlan = std::chrono::seconds(2);
// The next warm shim is made when this start no longer needs the processor.
constexpr Nanos kWarmPause = std::chrono::microseconds(300);

// With less on the disk a job is not begun: its journal and its first output would have no place.
constexpr std::uint64_t kLeastRoom = 1 << 20;

bool valid(const AttemptKey& key) { return is_id(key.job.text, 'j') && key.attempt > 0; }

}  // namespace

void Attempts::start(const link::Start& start, os::UniqueFd spec) {
  if (!valid(start.key) || !spec)
    return refuse(start.key, {Code::kProtocol, "a start without a job or spec", {}});
  if (lookups_.contains(start.key)) return;  // the first Start will be answered
  if (open_dir(start.key)) return start_again(start, std::move(spec));
  begin_with(start, std::move(spec));
}

// The same Start once more: answered with what there is. Only a directory in which nothing ever
// began is begun now.
void Attempts::start_again(const link::Start& start, os::UniqueFd spec) {
  const os::UniqueFd dir = open_dir(start.key);
  const bool fresh = dir && read_state(dir.get()).state == AttemptState::kNew;
  if (fresh && !live_.contains(start.key)) return begin_with(start, std::move(spec));
  report(start.key);
  const auto live = live_.find(start.key);
  if (live == live_.end() || was_started(dir.get())) return;
  if (auto bytes = os::read_all(spec.get(), kMaxSpecBytes))
    live->second.parked.emplace(start, std::move(*bytes));
}

void Attempts::begin_with(const link::Start& start, os::UniqueFd spec) {
  const auto bytes = os::read_all(spec.get(), kMaxSpecBytes);
  if (!bytes) return refuse(start.key, bytes.error());
  begin(start, *bytes);
}

void Attempts::begin(const link::Start& start, const std::string& spec_bytes) {
  auto spec = decode_spec(as_bytes(spec_bytes));
  if (!spec) return refuse(start.key, spec.error());
  const os::Limits limits{spec->cpu_milli, spec->memory_bytes, spec->pids};
  if (const std::string missing = cgroups_.limits.missing(limits); !missing.empty())
    return refuse(start.key,
                  {Code::kRefusedByNode,
                   "limits are unavailable on this node: it has no writable cgroup for " + missing,
                   {}});
  if (const std::uint64_t room = os::free_bytes(jobs_.get()); room < kLeastRoom)
    return refuse(start.key, {Code::kIo,
                              "the disk of node " + defaults_.node +
                                  " is full: " + format_size(room) + " are left for its jobs",
                              {}});
  auto user = find_job_user(*spec, policy_);
  if (!user) return refuse(start.key, user.error());
  if (*user) return begin_as(start, spec_bytes, *spec, std::move(**user));
  auto& lookup = lookups_[start.key];
  lookup.start = start;
  lookup.spec_bytes = spec_bytes;
  lookup.spec = std::move(*spec);
  lookup.getent = std::make_unique<GetentLookup>(
      loop_, job_user_name(lookup.spec, policy_),
      [this, key = start.key](std::optional<os::User> found) {
        auto node = lookups_.extract(key);
        Lookup& l = node.mapped();
        if (found) return begin_as(l.start, l.spec_bytes, l.spec, std::move(*found));
        refuse(key, {Code::kRefusedByNode,
                     "no user " + printable(job_user_name(l.spec, policy_)) + " on this node",
                     {}});
      });
}

void Attempts::begin_as(const link::Start& start, const std::string& spec_bytes,
                        const JobSpec& spec, os::User user) {
  if (auto admitted = admit_user(spec, policy_, user); !admitted)
    return refuse(start.key, admitted.error());
  if (auto admitted = admit_privileges(spec, policy_, user); !admitted)
    return refuse(start.key, admitted.error());
  link::Meta meta{start.ticket, start.owner,
                  static_cast<std::uint64_t>(wall_now().time_since_epoch().count()),
                  spec.restart.when != Restart::kNo, start.streak};
  Launch plan = plan_launch(spec, start, user, defaults_);
  plan.meta = encode_meta(meta, start);
  plan.spec = spec_bytes;
  auto memfd = os::make_memfd("rexec-plan", as_bytes(encode_launch(plan)));
  if (!memfd) return refuse(start.key, memfd.error());
  fail_point(FailPoint::kSpawnerPlanned);
  launch(start.key, std::move(*memfd), meta, 1);
}

void Attempts::launch(const AttemptKey& key, os::UniqueFd plan, const link::Meta& meta, int tries) {
  auto pair = os::make_seqpacket_pair(os::Blocking::kNo);
  if (!pair) return refuse(key, pair.error());
  Live live;
  live.plan = std::move(plan);
  live.meta = meta;
  live.tries = tries;
  auto handed = hand_over(key, live, pair->second.get());
  warm_later();
  if (!handed) return refuse(key, handed.error());
  live.plan_timer = loop_.after(kKeepPlan, [this, key] {
    const auto found = live_.find(key);
    if (found != live_.end()) found->second.plan.reset(), found->second.plan_timer = 0;
  });
  fail_point(FailPoint::kSpawnerOrdered);
  watch(key, std::move(live));
  std::vector<os::UniqueFd> fds;
  fds.push_back(std::move(pair->first));
  post_(link::ShimChannel{key, meta, 0, 0, link::kVersion}, std::move(fds));
  fail_point(FailPoint::kSpawnerChannelPosted);
}

// To the warm shim, or to a new one when that has died meanwhile.
Result<void> Attempts::hand_over(const AttemptKey& key, Live& live, int net) {
  Result<void> ordered = fail(Code::kIo, "no shim could be made");
  for (int i = 0; i < 2 && !ordered; ++i) {
    keep_warm();
    if (!warm_) continue;
    OrderFds fds{live.plan.get(), net, -1};
    os::UniqueFd dir;
    if (!claim_prepared(key)) {
      dir = claim(key);
      if (!dir) return fail_errno("the job directory", errno);
      fds.directory = dir.get();
    }
    fail_point(FailPoint::kSpawnerClaimed);
    ordered = order_shim(*warm_, fds);
    live.shim = std::move(warm_->process);
    live.control = std::move(warm_->control);
    warm_.reset();
    if (ordered) return {};
    os::send_signal(live.shim.pidfd.get(), SIGKILL);
    os::reap_killed(live.shim.pidfd.get());
  }
  return ordered;
}

// The attempt's name is the claim: whoever gives it to a directory first is the only one to start
// it.
bool Attempts::claim_prepared(const AttemptKey& key) {
  return ::renameat2(jobs_.get(), warm_->directory.c_str(), jobs_.get(), attempt_name(key).c_str(),
                     RENAME_NOREPLACE) == 0;
}

// Where the shim has nothing ready, or the directory is there from an earlier try.
os::UniqueFd Attempts::claim(const AttemptKey& key) {
  if (::mkdirat(jobs_.get(), attempt_name(key).c_str(), 0700) != 0 && errno != EEXIST)
    return os::UniqueFd();
  return open_dir(key);
}

void Attempts::keep_warm() {
  loop_.cancel(warm_timer_);
  if (warm_) return;
  auto shim = fork_shim(jobs_.get(), cgroups_);
  if (shim) {
    warm_ = std::move(*shim);
  } else {
    log_warn("cannot fork a shim", {{"error", shim.error().message}});
  }
}

void Attempts::warm_later() {
  if (warm_timer_ == 0 && !warm_) warm_timer_ = loop_.after(kWarmPause, [this] { keep_warm(); });
}

// Nothing of it stays: as if it had never been sent.
void Attempts::refuse(const AttemptKey& key, const Error& error) {
  if (valid(key) && key.attempt > 1) return record_refusal(key, error);
  if (valid(key)) {
    const os::UniqueFd dir = open_dir(key);
    if (dir && read_state(dir.get()).state == AttemptState::kNew)
      (void)remove_directory(jobs_.get(), attempt_name(key));
  }
  post_refusal(key, error);
}

void Attempts::post_refusal(const AttemptKey& key, const Error& error) {
  log_info("refused a job", {{"job", attempt_name(key)}, {"why", error.message}});
  post_(link::Refused{key, std::string(code_name(error.code)),
                      std::string(cut_text(error.message, 2048))},
        {});
}

}  // namespace rexec::job
