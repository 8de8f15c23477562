#include "src/controller/queue.hpp"

#include <algorithm>

#include "src/base/check.hpp"

namespace rexec::controller {
namespace {

std::string key_of(const Lock& lock, const NodeId& node) {
  return (lock.scope == LockScope::kNode ? node.text : std::string()) + '\0' + lock.name;
}

BootTime deadline(BootTime from, Millis limit) {
  return limit > Millis{0} ? from + limit : BootTime::max();
}

bool comes_true(After when, Ending ending) {
  return when == After::kAny || (when == After::kOk) == (ending == Ending::kOk);
}

}  // namespace

void Queue::add(Waiting waiting) {
  check(!by_job_.contains(waiting.job), "a job waits once");
  const std::uint64_t number = next_++;
  Entry entry;
  entry.expires = deadline(waiting.accepted, waiting.terms.queue);
  entry.online_until = deadline(waiting.accepted, waiting.terms.online);
  entry.job = std::move(waiting.job);
  entry.node = std::move(waiting.node);
  entry.terms = std::move(waiting.terms);
  for (const Lock& lock : entry.terms.locks) entry.locks.push_back(key_of(lock, entry.node));
  for (const Dependency& one : entry.terms.after) entry.open.insert(one.job);
  for (const auto& [job, ending] : waiting.endings)
    if (entry.open.contains(job)) settle(entry, job, ending);
  for (const JobId& job : entry.open) dependents_.emplace(job, number);
  for (const BootTime at : {entry.expires, entry.online_until})
    if (at != BootTime::max()) deadlines_.emplace(at, number);
  by_job_[entry.job] = number;
  waiting_.emplace(number, std::move(entry));
}

void Queue::hold(const JobId& job, const NodeId& node, const Terms& terms) {
  if (holds_.contains(job)) return;
  for (const Lock& lock : terms.locks) {
    const std::string key = key_of(lock, node);
    held_[key].emplace(job, lock.slots);
    holds_[job].push_back(key);
  }
}

void Queue::settle(Entry& entry, const JobId& job, Ending ending) {
  entry.open.erase(job);
  for (const Dependency& one : entry.terms.after)
    if (one.job == job && !entry.broken && !comes_true(one.when, ending)) entry.broken = one;
}

void Queue::forget(std::uint64_t number) {
  const auto at = waiting_.find(number);
  for (const JobId& job : at->second.open) {
    const auto [first, last] = dependents_.equal_range(job);
    for (auto one = first; one != last;)
      one = one->second == number ? dependents_.erase(one) : std::next(one);
  }
  for (const BootTime deadline : {at->second.expires, at->second.online_until})
    deadlines_.erase({deadline, number});
  by_job_.erase(at->second.job);
  waiting_.erase(at);
}

bool Queue::ended(const JobId& job, Ending ending) {
  bool concerns = false;
  if (const auto own = by_job_.find(job); own != by_job_.end()) {
    forget(own->second);
    concerns = true;
  }
  if (const auto held = holds_.extract(job); !held.empty()) {
    concerns = true;
    for (const std::string& key : held.mapped()) {
      const auto slots = held_.find(key);
      slots->second.erase(job);
      if (slots->second.empty()) held_.erase(slots);
    }
  }
  const auto [first, last] = dependents_.equal_range(job);
  concerns = concerns || first != last;
  for (auto at = first; at != last; ++at) settle(waiting_.at(at->second), job, ending);
  dependents_.erase(job);
  return concerns;
}

std::optional<Queue::Verdict> Queue::verdict(Entry& entry, BootTime now, bool online) {
  if (online && entry.online_until != BootTime::max()) {
    deadlines_.erase({entry.online_until, by_job_.at(entry.job)});
    entry.online_until = BootTime::max();
  }
  if (entry.broken) return Verdict::kDependency;
  if (now >= entry.expires) return Verdict::kQueueTimeout;
  if (now >= entry.online_until) return Verdict::kNodeOffline;
  return std::nullopt;
}

Queue::Wait Queue::obstacle(const Entry& entry, bool online) const {
  if (!entry.open.empty()) return {Obstacle::kJob, *entry.open.begin(), {}};
  if (!online) return {Obstacle::kNode, {}, {}};
  for (std::size_t i = 0; i < entry.locks.size(); ++i) {
    const Lock& lock = entry.terms.locks[i];
    std::size_t taken = 0, most = lock.slots;
    Wait wait{Obstacle::kLock, {}, lock.name};
    for (const Slots* slots : {&held_, &reserved_}) {
      const auto at = slots->find(entry.locks[i]);
      if (at == slots->end()) continue;
      taken += at->second.size();
      for (const auto& [job, told] : at->second) most = std::min<std::size_t>(most, told);
      if (!wait.job.empty()) continue;
      wait.job = at->second.begin()->first;
      wait.obstacle = slots == &held_ ? Obstacle::kLock : Obstacle::kTurn;
    }
    if (taken >= most) return wait;
  }
  return {};
}

void Queue::judge(std::uint64_t number, BootTime now, bool online, Step& out) {
  Entry& entry = waiting_.at(number);
  if (const auto why = verdict(entry, now, online)) {
    // Stays until ended() says that it is final.
    out.refused.push_back({entry.job, *why, entry.broken.value_or(Dependency{})});
    return;
  }
  Wait wait = obstacle(entry, online);
  if (wait.obstacle == Obstacle::kNone) {
    hold(entry.job, entry.node, entry.terms);
    out.ready.push_back(entry.job);
    return forget(number);
  }
  if (wait.obstacle == Obstacle::kLock || wait.obstacle == Obstacle::kTurn)
    for (std::size_t i = 0; i < entry.locks.size(); ++i)
      reserved_[entry.locks[i]].emplace(entry.job, entry.terms.locks[i].slots);
  if (wait != entry.wait) out.changed.push_back(entry.job);
  entry.wait = std::move(wait);
}

Queue::Step Queue::step(BootTime now, const IsOnline& is_online, Scope scope) {
  Step out;
  if (scope == Scope::kAll) reserved_.clear();
  auto at = scope == Scope::kAll ? waiting_.begin() : waiting_.lower_bound(seen_);
  seen_ = next_;
  while (at != waiting_.end()) {
    const std::uint64_t number = at->first;
    const bool online = is_online(at->second.node);
    ++at;
    judge(number, now, online, out);
  }
  return out;
}

BootTime Queue::wake_at() const {
  return deadlines_.empty() ? BootTime::max() : deadlines_.begin()->first;
}

Queue::Wait Queue::wait_of(const JobId& job) const {
  const auto at = by_job_.find(job);
  return at == by_job_.end() ? Wait{} : waiting_.at(at->second).wait;
}

}  // namespace rexec::controller
