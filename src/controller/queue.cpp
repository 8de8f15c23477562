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
  Entry entry{std::move(waiting.job),
              std::move(waiting.node),
              std::move(waiting.terms),
              deadline(waiting.accepted, waiting.terms.queue),
              deadline(waiting.accepted, waiting.terms.online),
              {},
              {},
              {}};
  for (const Dependency& one : entry.terms.after) entry.open.insert(one.job);
  for (const JobId& job : std::set<JobId>(entry.open)) {
    const auto ended = waiting.endings.find(job);
    if (ended != waiting.endings.end()) settle(entry, job, ended->second);
  }
  for (const JobId& job : entry.open) dependents_.emplace(job, number);
  by_job_[entry.job] = number;
  waiting_.emplace(number, std::move(entry));
}

void Queue::hold(const JobId& job, const NodeId& node, const Terms& terms) {
  if (holds_.contains(job)) return;
  for (const Lock& lock : terms.locks) {
    const std::string key = key_of(lock, node);
    held_[key].insert(job);
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
  by_job_.erase(at->second.job);
  waiting_.erase(at);
}

void Queue::ended(const JobId& job, Ending ending) {
  if (const auto own = by_job_.find(job); own != by_job_.end()) forget(own->second);
  if (const auto held = holds_.extract(job); !held.empty()) {
    for (const std::string& key : held.mapped()) {
      const auto slots = held_.find(key);
      slots->second.erase(job);
      if (slots->second.empty()) held_.erase(slots);
    }
  }
  const auto [first, last] = dependents_.equal_range(job);
  for (auto at = first; at != last; ++at) settle(waiting_.at(at->second), job, ending);
  dependents_.erase(job);
}

std::optional<Queue::Verdict> Queue::verdict(Entry& entry, BootTime now, bool online) {
  if (online) entry.online_until = BootTime::max();
  if (entry.broken) return Verdict::kDependency;
  if (now >= entry.expires) return Verdict::kQueueTimeout;
  if (now >= entry.online_until) return Verdict::kNodeOffline;
  return std::nullopt;
}

Queue::Wait Queue::obstacle(const Entry& entry, bool online, const Slots& reserved) const {
  if (!entry.open.empty()) return {Obstacle::kJob, *entry.open.begin(), {}};
  if (!online) return {Obstacle::kNode, {}, {}};
  for (const Lock& lock : entry.terms.locks) {
    const std::string key = key_of(lock, entry.node);
    std::size_t taken = 0;
    JobId holder;
    for (const Slots* slots : {&held_, &reserved}) {
      const auto at = slots->find(key);
      if (at == slots->end()) continue;
      taken += at->second.size();
      if (holder.empty()) holder = *at->second.begin();
    }
    if (taken >= lock.slots) return {Obstacle::kLock, holder, lock.name};
  }
  return {};
}

Queue::Step Queue::step(BootTime now, const IsOnline& is_online) {
  Step out;
  Slots reserved;  // by those before it that wait for a slot
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    const std::uint64_t number = at->first;
    Entry& entry = (at++)->second;
    const bool online = is_online(entry.node);
    if (const auto why = verdict(entry, now, online)) {
      out.refused.push_back({entry.job, *why, entry.broken.value_or(Dependency{})});
      continue;  // stays until ended() says that it is final
    }
    const Wait wait = obstacle(entry, online, reserved);
    if (wait.obstacle == Obstacle::kNone) {
      hold(entry.job, entry.node, entry.terms);
      out.ready.push_back(entry.job);
      forget(number);
      continue;
    }
    if (wait.obstacle == Obstacle::kLock)
      for (const Lock& lock : entry.terms.locks)
        reserved[key_of(lock, entry.node)].insert(entry.job);
    if (wait != entry.wait) out.changed.push_back(entry.job);
    entry.wait = wait;
  }
  return out;
}

BootTime Queue::wake_at() const {
  BootTime at = BootTime::max();
  for (const auto& [number, entry] : waiting_)
    at = std::min({at, entry.expires, entry.online_until});
  return at;
}

Queue::Wait Queue::wait_of(const JobId& job) const {
  const auto at = by_job_.find(job);
  return at == by_job_.end() ? Wait{} : waiting_.at(at->second).wait;
}

}  // namespace rexec::controller
