#include "src/controller/state/dispatcher.hpp"

#include <algorithm>
#include <csignal>

#include "src/base/fail_point.hpp"
#include "src/base/log.hpp"
#include "src/controller/state/agent_session.hpp"
#include "src/controller/state/hub.hpp"
#include "src/job/spec/spec.hpp"
#include "src/net/task.hpp"

namespace rexec::controller {
namespace {

constexpr std::string_view kForClient = "for its client to come back";
constexpr Millis kSaveAgain{1'000};
// In one turn of the reactor: about a millisecond, whatever becomes of them.
constexpr std::size_t kLooksInTurn = 64;

std::optional<Millis> patience_alone(const Job& job) {
  if (job.is_detached || job.spec == nullptr) return std::nullopt;
  const auto spec = job::decode_spec(as_bytes(job.spec->text()));
  if (!spec || spec->on_disconnect == job::OnDisconnect::kKeep) return std::nullopt;
  if (spec->on_disconnect == job::OnDisconnect::kStop) return kClientBack;
  return Millis{static_cast<std::int64_t>(spec->on_disconnect_ms)};
}

BootTime boot_time_of(WallTime wall) {
  return BootClock::now() - std::max(Millis{0}, Millis{wall_now() - wall});
}

}  // namespace

Ending ending_of(const Job& job) {
  const bool ok = job.record && wire::text_or(*job.record, "outcome") == "exited" &&
                  wire::u64_or(*job.record, "code", 1) == 0;
  return ok ? Ending::kOk : Ending::kFailed;
}

Dispatcher::Dispatcher(Hub& hub)
    : hub_(hub), timer_(std::make_unique<net::Timer>(hub.context().get_executor())) {}
Dispatcher::~Dispatcher() = default;

void Dispatcher::admit(const std::shared_ptr<Job>& job, std::map<JobId, Ending> endings) {
  if (job->is_final() || is_held(job->key.job)) return;
  enqueue(job, std::move(endings));
  run();
  refresh(*job);
}

Dispatcher::Held& Dispatcher::hold(const std::shared_ptr<Job>& job, Stage stage) {
  Held& held = held_[job->key.job];
  held.job = job;
  held.stage = stage;
  held.alone = patience_alone(*job);
  if (held.alone) set_alone(job->key.job, held, BootClock::now() + *held.alone);
  return held;
}

void Dispatcher::enqueue(const std::shared_ptr<Job>& job, std::map<JobId, Ending> endings) {
  hold(job, Stage::kQueued);
  fail_point(FailPoint::kControllerWaitAdmitted);
  queue_.add({job->key.job, job->node, job->terms, boot_time_of(job->created), std::move(endings)});
}

void Dispatcher::restore(const std::vector<Restored>& jobs) {
  for (const auto& [job, endings] : jobs) {
    if (job->state != JobState::kAccepted) {
      queue_.hold(job->key.job, job->node, *job->terms);
      continue;
    }
    enqueue(job, endings);
    held_.at(job->key.job).is_left = true;  // until somebody comes
    refresh(*job);
  }
  // Only now: the first to expire may be one that others come after.
  run();
}

void Dispatcher::node_changed(const NodeId& node, Presence presence) {
  queue_.node(node, presence);
  run();
}

Dispatcher::Watchers Dispatcher::job_ended(Job& job) {
  const bool concerns = queue_.ended(job.key.job, ending_of(job));
  job.waiting.clear();
  Watchers watchers = take_watchers(job.key.job);
  if (concerns) run();
  return watchers;
}

Dispatcher::Watchers Dispatcher::take_watchers(const JobId& id) {
  auto node = held_.extract(id);
  if (node.empty()) return {};
  alone_.erase({node.mapped().alone_until, id});
  return std::move(node.mapped().watchers);
}

// What it performs may change what the queue would say: then it is asked again, in another turn.
void Dispatcher::run() {
  if (is_running_) return run_soon();
  is_running_ = true;
  const BootTime now = BootClock::now();
  const Queue::Step step = queue_.step(now, kLooksInTurn);
  perform(step);
  const bool has_all = expire_alone(now) && !step.has_more;
  is_running_ = false;
  has_all ? arm() : run_soon();
}

void Dispatcher::run_soon() {
  if (std::exchange(runs_soon_, true)) return;
  hub_.next_turn([this] {
    runs_soon_ = false;
    run();
  });
}

void Dispatcher::perform(const Queue::Step& step) {
  for (const JobId& id : step.ready) release(id);
  for (const Queue::Refusal& refusal : step.refused) refuse(refusal);
  for (const JobId& id : step.changed) {
    const auto at = held_.find(id);
    if (at == held_.end() || at->second.watchers.empty()) continue;
    Job& job = *at->second.job;
    refresh(job);
    if (std::exchange(at->second.told, job.waiting) == job.waiting) continue;
    tell(at->second);
  }
}

void Dispatcher::tell(const Held& held) {
  const auto watchers = held.watchers;
  const std::string words = held.job->waiting;
  for (const auto& [watcher, calls] : watchers) calls.on_wait(words);
}

// A job that waits is committed as dispatched before its node hears of it. After a crash in between
// it holds its slots, and nobody else has got them; and one that runs by then is not taken for one
// that no node has heard of, which a stop or --queue-timeout would end here alone.
void Dispatcher::release(const JobId& id) {
  const auto at = held_.find(id);
  if (at == held_.end()) return;
  at->second.stage = Stage::kReleased;
  if (park(at->second)) return;
  const std::shared_ptr<Job> job = at->second.job;
  job->state = std::max(job->state, JobState::kDispatched);
  hub_.post([row = job_row(*job)](store::Database& db) { store::put_job(db, row); },
            [this, job](const Result<void>& saved) {
              if (job->is_final()) return;
              fail_point(FailPoint::kControllerSlotCommitted);
              if (saved) return send(job);
              log_error("a job that may start cannot be noted as started, trying again",
                        {{"job", job->key.job.text}, {"why", saved.error().message}});
              hub_.after(kSaveAgain, [this, id = job->key.job] { release(id); });
            });
  fail_point(FailPoint::kControllerSlotPosted);
}

// ---- the way to the node

void Dispatcher::send(std::shared_ptr<Job> job) {
  const auto at = held_.find(job->key.job);
  const Node* node = hub_.registry().find(job->node);
  const bool has_room = node != nullptr && node->link != nullptr && node->link->has_room();
  if (has_room && !lines_.contains(job->node) && (at == held_.end() || !park(at->second)))
    return start(std::move(job));
  const bool is_new = at == held_.end();
  Held& held = is_new ? hold(job, Stage::kInLine) : at->second;
  held.stage = Stage::kInLine;
  if (is_new) arm();
  if (held.is_parked) return;
  lines_[job->node].push_back(job->key.job);
  job->waiting = "for node \"" + job->node_name + "\" to take the jobs before it";
  tell(held);
}

void Dispatcher::send_again(const std::shared_ptr<Job>& job, Nanos away) {
  if (is_held(job->key.job)) return;
  const auto patience = patience_alone(*job);
  const bool waits_for_him = patience && (*patience == kClientBack || away >= *patience);
  if (!waits_for_him) return hub_.dispatch(*job);
  Held& held = hold(job, Stage::kInLine);
  set_alone(job->key.job, held, BootClock::now() + kClientBack);
  held.is_left = true;
  held.is_parked = true;
  job->waiting = std::string(kForClient);
  arm();
}

void Dispatcher::room_on(const NodeId& node_id) {
  const auto has_room = [&] {
    const Node* node = hub_.registry().find(node_id);
    return node != nullptr && node->link != nullptr && node->link->has_room();
  };
  for (auto line = lines_.find(node_id); line != lines_.end(); line = lines_.find(node_id)) {
    if (line->second.empty()) {
      lines_.erase(line);
      return;
    }
    if (!has_room()) return;
    const JobId id = std::move(line->second.front());
    line->second.pop_front();
    const auto at = held_.find(id);
    if (at != held_.end() && !park(at->second)) start(at->second.job);
  }
}

void Dispatcher::start(std::shared_ptr<Job> job) {
  const auto watchers = take_watchers(job->key.job);
  job->waiting.clear();
  hub_.start_on_node(*job);
  for (const auto& [id, watcher] : watchers) watcher.on_over();
}

// True when it must not start now: its client left it, and it is to end for that.
bool Dispatcher::park(Held& held) {
  const bool is_to_end = held.has_ended || held.alone == kClientBack;
  held.is_parked = held.is_left && is_to_end && held.watchers.empty();
  if (held.is_parked) held.job->waiting = std::string(kForClient);
  return held.is_parked;
}

void Dispatcher::unpark(const JobId& id) {
  const auto at = held_.find(id);
  if (at == held_.end() || !std::exchange(at->second.is_parked, false)) return;
  if (at->second.stage == Stage::kReleased) return release(id);
  send(at->second.job);
}

void Dispatcher::refuse(const Queue::Refusal& refusal) {
  const auto at = held_.find(refusal.job);
  if (at == held_.end()) return;
  Job& job = *at->second.job;
  fail_point(FailPoint::kControllerWaitRefused);
  const Dependency& other = refusal.dependency;
  switch (refusal.why) {
    case Queue::Verdict::kDependency: {
      wire::Map record = record_without_run(job, "not_started", 125, "dependency");
      record["message"] = "job " + other.job.text +
                          " ended otherwise than --after …:" + std::string(after_name(other.when)) +
                          " asks for";
      return end(job, std::move(record), "controller", "job.refuse");
    }
    case Queue::Verdict::kQueueTimeout: {
      refresh(job);
      wire::Map record = record_without_run(job, "not_started", 125, "queue_timeout");
      record["message"] = "it did not start within --queue-timeout " +
                          format_duration(job.terms->queue) +
                          (job.waiting.empty() ? "" : ", waiting: " + job.waiting);
      return end(job, std::move(record), "controller", "job.expire");
    }
    case Queue::Verdict::kNodeOffline:
      return end(job, record_without_run(job, "unreachable", 125, "node_offline"), "controller",
                 "job.expire");
  }
}

void Dispatcher::end(Job& job, wire::Map record, const std::string& actor, const std::string& verb,
                     Done done) {
  const std::string detail = wire::text_or(record, "reason");
  hub_.post(
      [actor, verb, id = job.key.job.text, detail](store::Database& db) {
        store::append_audit(db, wall_now(), {actor, verb, "job/" + id, detail});
      },
      {});
  hub_.finished(job, std::move(record), std::move(done));
}

void Dispatcher::cancel(Job& job, int signal, const std::string& actor, Done done) {
  if (!is_held(job.key.job)) return hub_.when_end_kept(job, std::move(done));
  wire::Map record = record_without_run(job, "stopped", 128 + signal, "stop");
  record["signal"] = signal;
  end(job, std::move(record), actor, "job.stop", std::move(done));
}

void Dispatcher::refresh(Job& job) const {
  if (queue_.is_waiting(job.key.job)) job.waiting = why(job);
}

void Dispatcher::deny(Job& job) {
  wire::Map record = record_without_run(job, "denied", 120, "revoked");
  record["message"] = "user \"" + job.owner_name + "\" was revoked before it began";
  end(job, std::move(record), "controller", "job.refuse");
}

void Dispatcher::end_orphans() {
  std::vector<std::shared_ptr<Job>> orphans;
  for (const auto& [id, held] : held_)
    if (!held.job->is_told && !hub_.is_live_user(held.job->owner)) orphans.push_back(held.job);
  if (orphans.empty()) return;
  without_turns([&] {
    for (const auto& job : orphans) deny(*job);
  });
}

void Dispatcher::without_turns(const std::function<void()>& action) {
  const bool was_running = std::exchange(is_running_, true);
  action();
  is_running_ = was_running;
  run_soon();
}

std::string Dispatcher::why(const Job& job) const {
  const Queue::Wait wait = queue_.wait_of(job.key.job);
  switch (wait.obstacle) {
    case Queue::Obstacle::kJob:
      return "for the end of job " + wait.job.text;
    case Queue::Obstacle::kNode:
      return "node \"" + job.node_name + "\" is offline";
    case Queue::Obstacle::kLock:
      return "lock \"" + wait.lock + "\" is held by job " + wait.job.text;
    case Queue::Obstacle::kTurn:
      return "lock \"" + wait.lock + "\" is for job " + wait.job.text + " first";
    case Queue::Obstacle::kNone:
      break;
  }
  return "for its turn";
}

// ---- those who watch

Dispatcher::WatcherId Dispatcher::watch(Job& job, Watcher watcher, bool owns) {
  const auto at = held_.find(job.key.job);
  if (at == held_.end()) return 0;
  const WatcherId id = next_watcher_++;
  refresh(job);
  at->second.told = job.waiting;
  watcher.on_wait(job.waiting);
  set_alone(job.key.job, at->second, BootTime::max());
  at->second.is_left = false;
  at->second.has_ended &= !owns;
  at->second.watchers.emplace(id, std::move(watcher));
  // Later: the caller does not know yet that he watches.
  if (at->second.is_parked) hub_.next_turn([this, held = job.key.job] { unpark(held); });
  return id;
}

void Dispatcher::unwatch(const JobId& job, WatcherId watcher, bool client_ended) {
  const auto at = held_.find(job);
  if (at == held_.end() || at->second.watchers.erase(watcher) == 0) return;
  left(job, client_ended);
}

void Dispatcher::left(const JobId& job, bool client_ended) {
  const auto at = held_.find(job);
  if (at == held_.end()) return;
  at->second.has_ended |= client_ended;
  if (!at->second.watchers.empty() || !at->second.alone) return;
  at->second.is_left = true;
  const Millis wait = at->second.has_ended ? Millis{0} : *at->second.alone;
  set_alone(job, at->second, BootClock::now() + wait);
  arm();
}

void Dispatcher::leave(Job& job) {
  const auto at = held_.find(job.key.job);
  if (at == held_.end()) return;
  at->second.alone.reset();
  set_alone(job.key.job, at->second, BootTime::max());
  job.is_detached = true;
  hub_.save(job, {});
}

void Dispatcher::set_alone(const JobId& id, Held& held, BootTime until) {
  alone_.erase({held.alone_until, id});
  held.alone_until = until;
  if (until != BootTime::max()) alone_.emplace(until, id);
}

bool Dispatcher::expire_alone(BootTime now) {
  std::vector<std::pair<std::shared_ptr<Job>, const char*>> expired;
  for (std::size_t i = 0; i < kLooksInTurn; ++i) {
    if (alone_.empty() || alone_.begin()->first > now) break;
    const JobId id = alone_.begin()->second;
    alone_.erase(alone_.begin());
    const Held& held = held_.at(id);
    expired.emplace_back(held.job, held.has_ended ? "client_ended" : "disconnect");
  }
  for (const auto& [job, why] : expired) {
    wire::Map record = record_without_run(*job, "stopped", 128 + SIGTERM, why);
    record["signal"] = SIGTERM;
    end(*job, std::move(record), "controller", "job.expire");
  }
  return alone_.empty() || alone_.begin()->first > now;
}

void Dispatcher::arm() {
  BootTime at = queue_.wake_at();
  if (!alone_.empty()) at = std::min(at, alone_.begin()->first);
  if (at == BootTime::max()) return timer_->cancel();
  const auto wait = std::chrono::ceil<Millis>(at - BootClock::now());
  timer_->arm(std::max(Millis{1}, wait), [this] { run(); });
}

}  // namespace rexec::controller
