// What there is and who watches it. See attempts.hpp.
#include "src/job/spawner/attempts.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "src/base/fail_point.hpp"
#include "src/base/log.hpp"
#include "src/job/spool/spool.hpp"
#include "src/os/seqpacket.hpp"

namespace rexec::job {
namespace {

// A shim that is just starting, or just ending, is between two states for a few milliseconds.
constexpr Nanos kRetryPause = std::chrono::milliseconds(10);
constexpr int kRetries = 300;
constexpr int kMaxTries = 3;
// Between two looks at supervisors that are not our children: so long a stop may hang that their
// job has stopped. A thousand of them cost a hundredth of a second each time.
constexpr Nanos kLook = std::chrono::seconds(3);
constexpr std::size_t kMaxRecord = 64 << 10;
// A job that does nothing else than stop its supervisor must not keep the spawner from the others.
constexpr int kStopsATurn = 64;

link::Meta stored_meta(int dir_fd) {
  auto meta = read_meta(dir_fd);
  return meta ? meta->meta : link::Meta{};
}

std::string control_message(int control) {
  std::uint8_t text[2048];
  os::set_blocking(control, os::Blocking::kNo);
  const os::Received got = os::receive_message(control, text);
  return got.status == os::IoStatus::kDone ? std::string(as_text({text, got.size})) : "";
}

}  // namespace

Attempts::Attempts(os::EventLoop& loop, os::UniqueFd jobs, NodeDefaults defaults, UserPolicy policy,
                   NodeCgroups cgroups, RetentionLimits limits, Post post)
    : loop_(loop),
      jobs_(std::move(jobs)),
      defaults_(std::move(defaults)),
      policy_(std::move(policy)),
      cgroups_(std::move(cgroups)),
      post_(std::move(post)),
      boot_(os::boot_id()),
      limits_(limits) {}

Attempts::~Attempts() {
  loop_.cancel(warm_timer_);
  loop_.cancel(look_timer_);
  loop_.cancel(retire_timer_);
  for (auto& [key, live] : live_) {
    loop_.forget(live.token);
    loop_.cancel(live.plan_timer);
  }
  for (auto& [key, settling] : settling_) loop_.cancel(settling.timer);
  for (auto& [key, retry] : retries_) loop_.cancel(retry);
  for (auto& [key, timer] : read_) loop_.cancel(timer);
  stand_still();
}

os::UniqueFd Attempts::open_dir(const AttemptKey& key) const {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  return os::UniqueFd(::openat(jobs_.get(), attempt_name(key).c_str(), kFlags));
}

std::vector<AttemptKey> Attempts::list() const {
  std::vector<AttemptKey> keys;
  for (const std::string& name : list_directory(jobs_.get()))
    if (auto key = attempt_from_name(name)) keys.push_back(std::move(*key));
  return keys;
}

std::vector<AttemptKey> Attempts::unreported() const {
  std::vector<AttemptKey> keys;
  for (auto& key : list()) {
    const os::UniqueFd dir = open_dir(key);
    if (dir && (!is_reported(dir.get()) || upcoming_.contains(key))) keys.push_back(std::move(key));
  }
  return keys;
}

void Attempts::scan() {
  // Before there is a warm shim of our own, whose directory is not locked from the first moment.
  sweep_warm_directories(jobs_.get());
  sweep_cgroups(cgroups_);
  for (const AttemptKey& key : list()) {
    const os::UniqueFd dir = open_dir(key);
    if (!dir) continue;
    const Attempt attempt = read_state(dir.get());
    if (attempt.state == AttemptState::kAlive) adopt(key, attempt.shim);
    if (attempt.state == AttemptState::kStarted) lose(key);
    if (attempt.state == AttemptState::kNew) restart(key);
  }
  // Now that what was claimed and never begun is gone again.
  for (const AttemptKey& key : list()) {
    const os::UniqueFd dir = open_dir(key);
    if (dir && read_state(dir.get()).state == AttemptState::kFinished) follow(key);
  }
  keep_warm();
}

void Attempts::watch(const AttemptKey& key, Live live) {
  live.token = loop_.watch(live.shim.pidfd.get(), EPOLLIN,
                           [this, key](std::uint32_t) { on_shim_exit(key); });
  live_.insert_or_assign(key, std::move(live));
}

// The pid came from the lock; only when the lock still names it after the pidfd was opened is it
// that process.
void Attempts::adopt(const AttemptKey& key, pid_t pid) {
  const os::UniqueFd dir = open_dir(key);
  auto pidfd = os::open_pidfd(pid);
  if (!pidfd || lock_holder(dir.get()) != pid) return retry_report(key);
  Live live;
  live.shim = {pid, std::move(*pidfd)};
  live.meta = stored_meta(dir.get());
  live.adopted = true;
  log_info("adopted a running job", {{"job", attempt_name(key)}, {"shim", std::to_string(pid)}});
  watch(key, std::move(live));
  if (look_timer_ == 0) look_after_adopted();
  fail_point(FailPoint::kSpawnerAdopted);
}

void Attempts::go_on(const AttemptKey& key, Live& live) {
  os::send_signal(live.shim.pidfd.get(), SIGCONT);
  if (std::exchange(live.was_stopped, true)) return;
  log_warn("a job's supervisor had been stopped and goes on", {{"job", attempt_name(key)}});
}

void Attempts::continue_stopped() {
  for (int i = 0; i < kStopsATurn; ++i) {
    const pid_t pid = os::take_stopped_child();
    if (pid == 0) return;
    if (warm_ && warm_->process.pid == pid) os::send_signal(warm_->process.pidfd.get(), SIGCONT);
    for (auto& [key, live] : live_)
      if (live.shim.pid == pid) go_on(key, live);
  }
}

void Attempts::look_after_adopted() {
  look_timer_ = 0;
  bool any = false;
  for (auto& [key, live] : live_) {
    if (!live.adopted) continue;
    any = true;
    if (os::is_stopped(live.shim.pid)) go_on(key, live);
  }
  if (any) look_timer_ = loop_.after(kLook, [this] { look_after_adopted(); });
}

void Attempts::on_shim_exit(const AttemptKey& key) {
  auto node = live_.extract(key);
  if (node.empty()) return;
  Live& live = node.mapped();
  loop_.forget(live.token);
  loop_.cancel(live.plan_timer);
  const auto status = os::reap(live.shim.pidfd.get());
  fail_point(FailPoint::kSpawnerShimGone);
  const os::UniqueFd dir = open_dir(key);
  if (!dir) return;
  const Attempt attempt = read_state(dir.get());
  if (attempt.state == AttemptState::kFinished) return follow(key);  // net has it, or asks
  if (attempt.state == AttemptState::kAlive) return adopt(key, attempt.shim);
  if (attempt.state == AttemptState::kStarted) return lose(key);
  const std::string why = live.control ? control_message(live.control.get()) : "";
  if (status && status->signal == 0 && status->code == kShimCannotStart)
    return refuse(key, {Code::kIo, "the node cannot start the job: " + why, {}});
  if (live.tries >= kMaxTries)
    return refuse(key, {Code::kIo, "the job's supervisor died three times before the start", {}});
  log_warn("a shim died before the start; trying again", {{"job", attempt_name(key)}});
  if (live.plan) return launch(key, std::move(live.plan), live.meta, live.tries + 1);
  if (live.parked) return begin(live.parked->first, live.parked->second);
  restart(key);
}

// From the journal: the predecessor had accepted it and nothing was started.
void Attempts::restart(const AttemptKey& key) {
  const os::UniqueFd dir = open_dir(key);
  auto spec = os::read_file_at(dir.get(), "spec", kMaxSpecBytes);
  const auto meta = read_meta(dir.get());
  if (!spec || !meta || !decode_spec(as_bytes(*spec))) {
    // Never accepted: the controller still has it and sends it again.
    (void)remove_directory(jobs_.get(), attempt_name(key));
    return;
  }
  log_info("starting a job that was accepted before", {{"job", attempt_name(key)}});
  fail_point(FailPoint::kSpawnerRestarted);
  begin({key, meta->meta.ticket, meta->meta.owner, meta->attach, meta->meta.streak}, *spec);
}

void Attempts::report(const AttemptKey& key) {
  if (settling_.contains(key) || lookups_.contains(key)) return;  // it will be told
  const os::UniqueFd dir = open_dir(key);
  if (!dir)
    return post_(link::Refused{key, std::string(code_name(Code::kUnknownJob)), "no such job here"},
                 {});
  const Attempt attempt = read_state(dir.get());
  switch (attempt.state) {
    case AttemptState::kFinished:
      return post_finished(key, dir.get());
    case AttemptState::kStarted:
      // Between the shim's death and our hearing of it; on_shim_exit() settles it.
      return live_.contains(key) ? retry_report(key) : lose(key);
    case AttemptState::kNew:
      return live_.contains(key) ? retry_report(key) : restart(key);
    case AttemptState::kAlive:
      break;
  }
  if (!live_.contains(key)) adopt(key, attempt.shim);
  post_channel(key, dir.get());
}

void Attempts::retry_report(const AttemptKey& key) {
  if (retries_.contains(key)) return;
  const int left = retrying_ == key ? retries_left_ - 1 : kRetries;
  if (left == 0) return refuse_later(key);
  const auto timer = loop_.after(kRetryPause, [this, key, left] {
    retries_.erase(key);
    retrying_ = key;
    retries_left_ = left;
    report(key);
    retrying_ = {};
  });
  retries_.emplace(key, timer);
}

void Attempts::refuse_later(const AttemptKey& key) {
  log_error("a job's supervisor does not answer", {{"job", attempt_name(key)}});
  post_(link::Refused{key, std::string(code_name(Code::kBusy)),
                      "the job's supervisor does not answer"},
        {});
}

void Attempts::post_channel(const AttemptKey& key, int dir_fd) {
  auto socket = os::connect_seqpacket(dir_fd, "sock");
  if (!socket) return retry_report(key);
  const auto text = os::read_file_at(dir_fd, "started", 1 << 16);
  const StartedRecord started = text ? started_from_text(*text) : StartedRecord{};
  std::vector<os::UniqueFd> fds;
  fds.push_back(std::move(*socket));
  // Not started: it is a shim of ours, or one that a Start of ours finds waiting.
  const std::uint8_t version = text ? started.link : link::kVersion;
  post_(link::ShimChannel{key, stored_meta(dir_fd), started.pid, started.wall_ms, version},
        std::move(fds));
}

void Attempts::post_finished(const AttemptKey& key, int dir_fd) {
  auto record = os::read_file_at(dir_fd, "exit", kMaxRecord);
  if (!record) return retry_report(key);
  post_(link::Finished{key, stored_meta(dir_fd), std::move(*record), is_reported(dir_fd),
                       next_ms_of(key, dir_fd)},
        open_segments(dir_fd));
}

void Attempts::stop_all(Millis grace) {
  const link::ToShim stop = link::Stop{static_cast<std::uint64_t>(grace.count())};
  for (const auto& [key, live] : live_) {
    const os::UniqueFd dir = open_dir(key);
    auto socket = os::connect_seqpacket(dir.get(), "sock");
    const auto text = os::read_file_at(dir.get(), "started", 1 << 16);
    const std::string bytes =
        link::encode(stop, text ? started_from_text(*text).link : link::kVersion);
    if (socket) os::send_message(socket->get(), as_bytes(bytes));
  }
}

}  // namespace rexec::job
