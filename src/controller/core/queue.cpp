#include "src/controller/core/queue.hpp"

#include <algorithm>

#include "src/base/check.hpp"

namespace rexec::controller {
namespace {

// Of those stuck at a lock whose holders have changed, as many are told.
constexpr std::size_t kMostTold = 16;

std::string key_of(const Lock& lock, const NodeId& node) {
  return (lock.scope == LockScope::kNode ? node.text : std::string()) + '\0' + lock.name;
}

BootTime deadline(BootTime from, Millis limit) {
  return limit > Millis{0} ? from + limit : BootTime::max();
}

}  // namespace

Queue::Line Queue::line_of(const Lock& lock, const NodeId& node) {
  const std::string key = key_of(lock, node);
  Line& line = lines_[key];
  if (!line) line = std::make_shared<LockLine>(key);
  return line;
}

// Held by `lines_` and by the caller: nobody names this lock any more.
void Queue::drop_if_unused(Line line) {
  if (line.use_count() == 2) lines_.erase(line->key);
}

void Queue::add(Waiting waiting) {
  check(!by_job_.contains(waiting.job), "a job waits once");
  const Number number = next_++;
  Entry entry;
  entry.terms = std::move(waiting.terms);
  const Terms& terms = *entry.terms;
  entry.expires = deadline(waiting.accepted, terms.queue);
  entry.online_until = deadline(waiting.accepted, terms.online);
  entry.job = std::move(waiting.job);
  entry.node = std::move(waiting.node);
  for (const Lock& lock : terms.locks) entry.lines.push_back(line_of(lock, entry.node));
  entry.after.settled.resize(terms.after.size());
  entry.after.open = terms.after.size();
  for (const Dependency& one : terms.after)
    if (one.when == After::kFail) ++entry.after.failing[one.group].first;
  for (std::size_t i = 0; i < terms.after.size(); ++i) {
    const auto ending = waiting.endings.find(terms.after[i].job);
    if (ending != waiting.endings.end())
      settle(entry, i, ending->second);
    else
      dependents_[terms.after[i].job].emplace(number, i);
  }
  for (const BootTime at : {entry.expires, entry.online_until})
    if (at != BootTime::max()) deadlines_.emplace(at, number);
  by_job_[entry.job] = number;
  by_node_[entry.node].insert(number);
  waiting_.emplace(number, std::move(entry));
  fresh_.push_back(number);
}

void Queue::hold(const JobId& job, const NodeId& node, const Terms& terms) {
  if (terms.locks.empty() || holds_.contains(job)) return;
  std::vector<Line>& held = holds_[job];
  for (const Lock& lock : terms.locks) {
    held.push_back(line_of(lock, node));
    held.back()->hold(job, lock.slots);
  }
}

// Those of one group that are to fail are one condition: all have ended, and not all well.
void Queue::settle(Entry& entry, std::size_t dependency, Ending ending) {
  Dependencies& after = entry.after;
  const Dependency& one = entry.terms->after[dependency];
  after.settled[dependency] = true;
  --after.open;
  while (after.first_open < after.settled.size() && after.settled[after.first_open])
    ++after.first_open;
  bool can_come_true = one.when == After::kAny || ending == Ending::kOk;
  if (one.when == After::kFail) {
    auto& [open, has_failed] = after.failing.at(one.group);
    --open;
    has_failed = has_failed || ending == Ending::kFailed;
    can_come_true = one.group == 0 ? ending == Ending::kFailed : has_failed || open > 0;
  }
  if (!can_come_true && !after.broken) after.broken = one;
}

void Queue::mark(const Line& line) {
  if (std::exchange(line->is_due, true)) return;
  due_lines_.push_back(line);
}

void Queue::leave_lines(Number number, Entry& entry, Leaving how) {
  if (LockLine* line = std::exchange(entry.stuck_at, nullptr)) line->stuck.erase(number);
  if (!std::exchange(entry.in_line, false)) return;
  for (const Line& line : entry.lines) {
    line->leave(number);
    if (how == Leaving::kFreesPlace) mark(line);
  }
}

void Queue::forget(Number number) {
  const auto at = waiting_.find(number);
  Entry& entry = at->second;
  for (std::size_t i = entry.after.first_open; i < entry.after.settled.size(); ++i) {
    if (entry.after.settled[i]) continue;
    const auto others = dependents_.find(entry.terms->after[i].job);
    others->second.erase({number, i});
    if (others->second.empty()) dependents_.erase(others);
  }
  for (const BootTime deadline : {entry.expires, entry.online_until})
    deadlines_.erase({deadline, number});
  leave_lines(number, entry, Leaving::kFreesPlace);
  for (Line& line : entry.lines) drop_if_unused(std::move(line));
  const auto of_node = by_node_.find(entry.node);
  of_node->second.erase(number);
  if (of_node->second.empty()) by_node_.erase(of_node);
  due_.erase(number);
  by_job_.erase(entry.job);
  waiting_.erase(at);
}

bool Queue::ended(const JobId& job, Ending ending) {
  const auto own = by_job_.find(job);
  const auto held = holds_.extract(job);
  const bool is_waited_for = dependents_.contains(job);
  if (own == by_job_.end() && held.empty() && !is_waited_for) return false;
  if (own != by_job_.end()) forget(own->second);
  if (!held.empty()) {
    for (Line& line : held.mapped()) {
      line->release(job);
      mark(line);
      drop_if_unused(std::move(line));
    }
  }
  if (is_waited_for) endings_.emplace_back(job, ending);
  return true;
}

void Queue::node(const NodeId& id, Presence presence) {
  const bool is_new =
      presence == Presence::kOnline ? online_.insert(id).second : online_.erase(id) > 0;
  if (is_new && by_node_.contains(id)) nodes_[id] = 0;
}

std::optional<Queue::Verdict> Queue::verdict(Number number, Entry& entry, BootTime now) {
  if (online_.contains(entry.node) && entry.online_until != BootTime::max()) {
    if (entry.online_until != entry.expires) deadlines_.erase({entry.online_until, number});
    entry.online_until = BootTime::max();
  }
  if (entry.after.broken) return Verdict::kDependency;
  if (now >= entry.expires) return Verdict::kQueueTimeout;
  if (now >= entry.online_until) return Verdict::kNodeOffline;
  return std::nullopt;
}

std::pair<Queue::Obstacle, std::size_t> Queue::obstacle(Number number, const Entry& entry) const {
  if (entry.after.open > 0) return {Obstacle::kJob, entry.after.first_open};
  if (!online_.contains(entry.node)) return {Obstacle::kNode, 0};
  for (std::size_t i = 0; i < entry.lines.size(); ++i)
    if (entry.lines[i]->is_full_for(number, entry.terms->locks[i].slots))
      return {entry.lines[i]->holder() != nullptr ? Obstacle::kLock : Obstacle::kTurn, i};
  return {Obstacle::kNone, 0};
}

void Queue::look_at(Number number, BootTime now, Step& out) {
  Entry& entry = waiting_.at(number);
  if (entry.is_refused) return;
  if (const auto why = verdict(number, entry, now)) {
    entry.is_refused = true;
    leave_lines(number, entry, Leaving::kFreesPlace);
    out.refused.push_back({entry.job, *why, entry.after.broken.value_or(Dependency{})});
    return;
  }
  const auto wait = obstacle(number, entry);
  if (wait.first == Obstacle::kNone) {
    leave_lines(number, entry, Leaving::kTakesSlot);
    hold(entry.job, entry.node, *entry.terms);
    out.ready.push_back(entry.job);
    return forget(number);
  }
  if (wait.first == Obstacle::kLock || wait.first == Obstacle::kTurn) {
    if (!std::exchange(entry.in_line, true))
      for (std::size_t i = 0; i < entry.lines.size(); ++i)
        entry.lines[i]->enter(number, entry.terms->locks[i].slots);
    if (entry.stuck_at != nullptr) entry.stuck_at->stuck.erase(number);
    entry.stuck_at = entry.lines[wait.second].get();
    entry.stuck_at->stuck.insert(number);
  } else {
    leave_lines(number, entry, Leaving::kFreesPlace);
  }
  if (std::exchange(entry.told, wait) != wait) out.changed.push_back(entry.job);
}

// ---- what is due

bool Queue::use_deadline(BootTime now) {
  if (deadlines_.empty() || deadlines_.begin()->first > now) return false;
  due_.insert(deadlines_.begin()->second);
  deadlines_.erase(deadlines_.begin());
  return true;
}

bool Queue::use_ending() {
  if (endings_.empty()) return false;
  const auto& [job, ending] = endings_.front();
  const auto others = dependents_.find(job);
  if (others != dependents_.end()) {
    const auto [number, place] = *others->second.begin();
    settle(waiting_.at(number), place, ending);
    due_.insert(number);
    others->second.erase(others->second.begin());
    if (!others->second.empty()) return true;
    dependents_.erase(others);
  }
  endings_.pop_front();
  return true;
}

bool Queue::use_node() {
  if (nodes_.empty()) return false;
  const auto next = nodes_.begin();
  const auto those = by_node_.find(next->first);
  const auto at = those == by_node_.end() ? std::set<Number>::iterator{}
                                          : those->second.lower_bound(next->second);
  if (those == by_node_.end() || at == those->second.end()) {
    nodes_.erase(next);
    return true;
  }
  due_.insert(*at);
  next->second = *at + 1;
  return true;
}

// Who needs no slot need not let those go first who arrived before and are still to be looked at.
bool Queue::use_fresh(BootTime now, Step& out) {
  if (fresh_.empty()) return false;
  const Number number = fresh_.front();
  fresh_.pop_front();
  const auto at = waiting_.find(number);
  if (at == waiting_.end()) return true;
  if (at->second.lines.empty())
    look_at(number, now, out);
  else
    due_.insert(number);
  return true;
}

bool Queue::use_due(BootTime now, Step& out) {
  if (due_.empty()) return false;
  const Number number = *due_.begin();
  due_.erase(due_.begin());
  look_at(number, now, out);
  return true;
}

// Further behind a lock is only more full: the first for whom it is ends the looking.
bool Queue::use_line(BootTime now, Step& out) {
  if (due_lines_.empty()) return false;
  Line line = due_lines_.front();
  if (!line->stuck.empty()) {
    const Number number = *line->stuck.begin();
    const Entry& entry = waiting_.at(number);
    const auto place = std::ranges::find(entry.lines, line) - entry.lines.begin();
    if (!line->is_full_for(number, entry.terms->locks[static_cast<std::size_t>(place)].slots)) {
      look_at(number, now, out);
      return true;
    }
    std::size_t told = 0;
    for (const Number one : line->stuck) {
      if (++told > kMostTold) break;
      out.changed.push_back(waiting_.at(one).job);
    }
  }
  line->is_due = false;
  due_lines_.pop_front();
  drop_if_unused(std::move(line));
  return true;
}

bool Queue::has_due(BootTime now) const {
  return !fresh_.empty() || !endings_.empty() || !nodes_.empty() || !due_.empty() ||
         !due_lines_.empty() || wake_at() <= now;
}

// A line is looked at when all who are to stand in it do: so who arrived first is first.
Queue::Step Queue::step(BootTime now, std::size_t most) {
  Step out;
  for (std::size_t looked = 0; looked < most; ++looked)
    if (!use_fresh(now, out) && !use_deadline(now) && !use_ending() && !use_node() &&
        !use_due(now, out) && !use_line(now, out))
      break;
  out.has_more = has_due(now);
  return out;
}

BootTime Queue::wake_at() const {
  return deadlines_.empty() ? BootTime::max() : deadlines_.begin()->first;
}

Queue::Wait Queue::wait_of(const JobId& job) const {
  const auto at = by_job_.find(job);
  if (at == by_job_.end()) return {};
  const Entry& entry = waiting_.at(at->second);
  const auto [what, place] = obstacle(at->second, entry);
  switch (what) {
    case Obstacle::kJob:
      return {what, entry.terms->after[place].job, {}};
    case Obstacle::kLock:
      return {what, *entry.lines[place]->holder(), entry.terms->locks[place].name};
    case Obstacle::kTurn:
      return {what, waiting_.at(entry.lines[place]->front()).job, entry.terms->locks[place].name};
    case Obstacle::kNode:
    case Obstacle::kNone:
      break;
  }
  return {what, {}, {}};
}

}  // namespace rexec::controller
