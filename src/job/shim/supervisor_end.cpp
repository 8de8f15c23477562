// How a job ends: stop and timeout, what outlives its leader, draining, the record. See
// supervisor.hpp.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "src/base/fail_point.hpp"
#include "src/job/shim/supervisor.hpp"

namespace rexec::job {
namespace {

constexpr Nanos kDrain = std::chrono::seconds(2);
// What is left behind gets less time than the job itself: kill and drain stay within two seconds.
constexpr Nanos kLeftoverGrace = std::chrono::seconds(1);
constexpr Nanos kFirstKillPause = std::chrono::milliseconds(5);
constexpr Nanos kLongestKillPause = std::chrono::milliseconds(500);
constexpr Nanos kMemoryPause = std::chrono::milliseconds(10);
constexpr int kMemoryLooks = 100;
constexpr Nanos kRecordRetry = std::chrono::milliseconds(500);
// Net normally closes at once when it has read End.
constexpr Nanos kLinger = std::chrono::seconds(2);

double seconds(Nanos time) { return std::chrono::duration<double>(time).count(); }
double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

std::string_view stage_word(Stage stage) {
  switch (stage) {
    case Stage::kUser:
      return "user";
    case Stage::kScript:
      return "script";
    case Stage::kWorkdir:
      return "workdir";
    case Stage::kExec:
      return "exec";
    case Stage::kSetup:
      break;
  }
  return "setup";
}

}  // namespace

// The first verdict stands; a later stop may only shorten the grace. What came after the leader's
// own end changes no outcome but ends what it left.
void Supervisor::stop(Outcome verdict, std::string reason, Millis grace) {
  if (finished_) return;
  asked_to_end_ = true;
  const bool natural = status_.has_value() && verdict == Outcome::kStopped;
  if (!verdict_ && !natural) {
    verdict_ = verdict;
    reason_ = std::move(reason);
  }
  must_be_empty_ = true;
  terminate(grace);
  advance();
}

void Supervisor::terminate(Nanos grace) {
  const BootTime at = BootClock::now() + grace;
  const bool is_sooner = !kill_at_ || at < *kill_at_;
  if (is_sooner) {
    kill_at_ = at;
    loop_.cancel(kill_timer_);
    kill_pause_ = kFirstKillPause;
  }
  if (grace <= Nanos(0)) return kill_loop();
  tree_.signal_all(SIGTERM);
  if (is_sooner) kill_timer_ = loop_.after(grace, [this] { kill_loop(); });
}

// Where the kernel ends one process of a group that is out of memory (version 1), the rest goes
// too: a build without its linker, a server without its worker is no job any more.
void Supervisor::watch_memory() {
  memory_events_ = order_.limits.memory_events();
  if (!memory_events_) return;
  memory_token_ = loop_.watch(memory_events_.get(), EPOLLIN, [this](std::uint32_t) {
    std::uint64_t count = 0;
    static_cast<void>(!::read(memory_events_.get(), &count, sizeof count));
    look_at_memory(kMemoryLooks);
  });
  look_at_memory(1);  // it may have come before the watch
}

// The event is told before the kill is counted; a group that got memory back in time counts none.
void Supervisor::look_at_memory(int looks) {
  loop_.cancel(memory_timer_);
  if (finished_) return;
  if (order_.limits.out_of_memory()) {
    loop_.forget(memory_token_);
    must_be_empty_ = true;
    terminate(Nanos(0));
    return advance();
  }
  if (looks > 1)
    memory_timer_ = loop_.after(kMemoryPause, [this, looks] { look_at_memory(looks - 1); });
}

// Until nothing is left: what forks while it is being killed is found by the next round.
void Supervisor::kill_loop() {
  loop_.cancel(kill_timer_);
  tree_.kill_all();
  kill_timer_ = loop_.after(kill_pause_, [this] { kill_loop(); });
  kill_pause_ = std::min(kill_pause_ * 2, kLongestKillPause);
  // A child that died just now wakes us by SIGCHLD; this is for the cgroup's other members.
  if (!reap_pending_) os::reap_orphans(0);
  const bool is_stubborn = kill_pause_ == kLongestKillPause && plan_.keeps_privileges;
  if (is_stubborn && !out_of_reach_ && tree_.out_of_reach()) let_go();
  advance();
}

// What sudo started is root's, and a supervisor that is not root cannot end it. The job ends all
// the same: it must not be what hangs.
void Supervisor::let_go() {
  out_of_reach_ = true;
  if (!status_) on_leader_exit({0, SIGKILL});
}

void Supervisor::begin_ending() {
  ending_ = true;
  if (must_be_empty_) return;  // stop or timeout is at work already
  if (plan_.children == Children::kLeave) {
    output_.keep_ends();
    return output_.finish_queued();
  }
  if (plan_.children == Children::kWait) return;
  left_behind_ = static_cast<std::uint32_t>(tree_.living().size());
  if (left_behind_ > 0) {
    must_be_empty_ = true;
    terminate(std::min<Nanos>(Millis(plan_.grace_ms), kLeftoverGrace));
  }
  set_drain_deadline();
}

void Supervisor::set_drain_deadline() {
  if (drain_timer_ != 0 || output_.all_closed()) return;
  drain_timer_ = loop_.after(kDrain, [this] {
    drain_timer_ = 0;
    output_.finish_queued();
  });
}

void Supervisor::advance() {
  if (finished_ || !status_) return;
  if (!ending_) begin_ending();
  if (finished_) return;  // begin_ending() closed the last stream and came here by itself
  const bool empty = out_of_reach_ || tree_.empty();
  if (must_be_empty_) {
    if (!empty) return;
    loop_.cancel(kill_timer_);
    set_drain_deadline();
  }
  if (empty && asked_to_end_) leave_full_disk();
  if (finished_) return;                                    // that closed the last stream
  if (plan_.children == Children::kWait && !empty) return;  // they need not hold the output open
  // The dead are not held back: no end waits for a reader.
  if (empty && !output_.all_closed()) output_.writers_gone();
  if (!finished_ && output_.all_closed()) finish();
}

// A full disk delays a natural end. One that somebody asked for does not wait: there may never be
// room again but for what this job gives back.
void Supervisor::leave_full_disk() {
  if (output_.held().error != 0) output_.give_up();
}

void Supervisor::finish() {
  finished_ = true;
  for (auto* timer :
       {&timeout_, &idle_, &memory_timer_, &kill_timer_, &drain_timer_, &disconnect_timer_})
    loop_.cancel(*timer);
  record_ = compose();
  fail_point(FailPoint::kShimDrained);
  if (plan_.durable) (void)spool_.sync();
  fail_point(FailPoint::kShimSynced);
  tree_.remove_cgroup();
  order_.limits.remove();
  if (!job_.record.script_path.empty()) remove_script(job_.record.script_path, plan_.uid);
  write_record();
}

// A full disk delays the end; it does not lose it.
void Supervisor::write_record() {
  const std::string json = to_json(record_);
  fail_point(FailPoint::kShimRecording);
  const auto sync = plan_.durable ? os::Sync::kYes : os::Sync::kNo;
  auto written = os::replace_file_at(order_.directory.get(), "exit", as_bytes(json), sync);
  if (!written && directory_gone()) return abandon();
  if (!written) {
    link_.picture.held = {ENOSPC, 0};
    link_.flush();
    loop_.after(kRecordRetry, [this] { write_record(); });
    return;
  }
  fail_point(FailPoint::kShimRecorded);
  link_.stop_listening();
  ::unlinkat(order_.directory.get(), "sock", 0);
  link_.picture.held = {};
  link_.picture.end_record = json;
  link_.flush();
  fail_point(FailPoint::kShimEndSent);
  if (!link_.connected()) return leave();
  leave_timer_ = loop_.after(kLinger, [this] { leave(); });
}

bool Supervisor::directory_gone() const {
  struct stat status{};
  return ::fstat(order_.directory.get(), &status) == 0 && status.st_nlink == 0;
}

// Without a journal nobody would ever hear of the job again; it must not run on unseen, nor its
// shim.
void Supervisor::abandon() {
  finished_ = true;
  for (; !tree_.empty(); ::usleep(2000)) {
    tree_.kill_all();
    os::reap_orphans(0);
  }
  tree_.remove_cgroup();
  order_.limits.remove();
  ::_exit(0);
}

void Supervisor::leave() {
  if (link_.picture.end_record.empty()) return;  // the record is not on disk yet
  gone_ = true;
  loop_.stop();
}

EndRecord Supervisor::compose() const {
  EndRecord record;
  record.node = plan_.node;
  record.key = plan_.key;
  record.bytes = spool_.totals();
  record.dropped = spool_.dropped();
  record.complete = record.dropped == PerStream<std::uint64_t>{};
  const StreamDigest& out = output_.digest(Channel::kOut);
  const StreamDigest& err = output_.digest(Channel::kErr);
  record.xxh128 = {out.xxh128(), err.xxh128()};
  record.sha256 = {out.sha256(), err.sha256()};
  record.left_behind = left_behind_;
  record.ended_ms = static_cast<std::uint64_t>(wall_now().time_since_epoch().count());
  judge(record);
  if (failure_) return record;
  if (out_of_reach_)
    record.message = "what the job ran as another user could not be ended by the agent's user";
  if (output_.gave_up())
    record.message = "the node's disk was full: output that nobody had read was given up";
  record.oom = order_.limits.out_of_memory() ||
               (tree_.cgroup() != nullptr && tree_.cgroup()->out_of_memory());
  if (record.oom) record.reason = "oom";
  record.started_ms = job_.record.wall_ms;
  record.wall_s = seconds(leader_ended_ - began_);
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  record.cpu_s = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  record.max_rss = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
  return record;
}

void Supervisor::judge(EndRecord& record) const {
  record.signal = status_->signal;
  if (failure_) {
    record.outcome = Outcome::kNotStarted;
    record.code = exit_code_of(*failure_);
    record.signal = 0;
    record.reason = stage_word(failure_->stage);
    record.message = message_of(*failure_);
  } else if (verdict_ == Outcome::kTimeout) {
    record.outcome = Outcome::kTimeout;
    record.code = 124;
    record.reason = reason_;
  } else if (verdict_) {
    record.outcome = Outcome::kStopped;
    if (record.signal == 0) record.signal = SIGTERM;  // it obeyed and exited by itself
    record.code = 128 + record.signal;
    record.reason = reason_;
  } else if (status_->signal != 0) {
    record.outcome = Outcome::kSignaled;
    record.code = 128 + status_->signal;
  } else {
    record.outcome = Outcome::kExited;
    record.code = status_->code;
  }
}

}  // namespace rexec::job
