#include "src/agent/held_schedule.hpp"

#include <algorithm>

#include "src/base/cut_text.hpp"

namespace rexec::agent {

using schedule::Action;
using schedule::Timing;
using schedule::Verdict;

HeldSchedule::HeldSchedule(NodeId node, ScheduleDefinition definition, ScheduleProgress progress)
    : node_(std::move(node)),
      definition_(std::move(definition)),
      progress_(std::move(progress)),
      gate_(definition_.overlap) {
  forget_decided();
}

void HeldSchedule::forget_decided() {
  std::erase_if(definition_.firings,
                [this](const HeldFiring& one) { return one.nominal <= progress_.cursor; });
}

void HeldSchedule::restore(WallTime up_since) {
  up_since_ = up_since;
  is_heard_ = false;
  std::set<WallTime> running;
  for (const auto& [nominal, begun] : progress_.begun) running.insert(nominal);
  gate_.restore(std::move(running), {});
}

Steps HeldSchedule::heard() {
  if (std::exchange(is_heard_, true)) return {};
  std::deque<WallTime> waiting;
  for (const auto& [nominal, firing] : progress_.waiting) waiting.push_back(nominal);
  return act(gate_.restore(gate_.running(), std::move(waiting)));
}

void HeldSchedule::replace(ScheduleDefinition definition) {
  definition_ = std::move(definition);
  gate_.use(definition_.overlap);
  forget_decided();
  if (definition_.is_paused) skip_waiting();
}

// Also those that are held back, of which the gate does not know yet.
void HeldSchedule::skip_waiting() {
  gate_.drop_waiting();
  progress_.skipped += progress_.waiting.size();
  progress_.waiting.clear();
}

bool HeldSchedule::holds_back() const {
  if (is_heard_) return false;
  const auto& firings = definition_.firings;
  return !progress_.waiting.empty() || (!firings.empty() && due_of(firings.front()) <= up_since_);
}

// Whether a firing that was not missed need not wait behind those that were: when they are left out
// because of it anyway. Otherwise firings keep their order.
bool HeldSchedule::may_pass() const {
  return definition_.catch_up != schedule::CatchUp::kAll && progress_.waiting.empty();
}

WallTime HeldSchedule::due_of(const HeldFiring& firing) const {
  return firing.nominal +
         schedule::jitter_of(definition_.id, firing.nominal, node_, definition_.jitter);
}

std::optional<WallTime> HeldSchedule::next_due() const {
  if (definition_.is_paused) return std::nullopt;
  const auto& firings = definition_.firings;
  if (!holds_back()) return firings.empty() ? std::nullopt : std::optional(due_of(firings.front()));
  const WallTime until = up_since_ + kHearFirst;
  if (!may_pass()) return until;
  for (const HeldFiring& firing : firings)
    if (due_of(firing) > up_since_) return std::min(due_of(firing), until);
  return until;
}

Steps HeldSchedule::tick(WallTime now) {
  if (definition_.is_paused) return {};
  // A clock that is put back makes the wait no longer.
  if (!is_heard_) up_since_ = std::min(up_since_, now);
  Steps steps = now < up_since_ + kHearFirst ? Steps{} : heard();
  std::vector<WallTime> due;
  for (const HeldFiring& firing : definition_.firings) {
    if (due_of(firing) > now) break;  // strictly in order, whatever the jitter of the next
    due.push_back(due_of(firing));
  }
  const bool is_missed_only = due.empty() || due.back() <= up_since_;
  if (holds_back() && (is_missed_only || !may_pass())) return steps;
  const auto verdicts = schedule::judge_due(due, {now, up_since_}, definition_.catch_up);
  for (const Verdict verdict : verdicts) {
    const HeldFiring firing = definition_.firings.front();
    definition_.firings.erase(definition_.firings.begin());
    progress_.cursor = firing.nominal;
    if (verdict == Verdict::kMissed) {
      ++progress_.skipped;
      continue;
    }
    progress_.waiting.emplace(firing.nominal, firing);
    const auto timing = verdict == Verdict::kLate ? Timing::kCaughtUp : Timing::kOnTime;
    std::ranges::move(act(gate_.due(firing.nominal, timing)), std::back_inserter(steps));
  }
  return steps;
}

// Every firing the gate knows is in `waiting` until it starts, then in `begun` until it ends.
Steps HeldSchedule::act(const std::vector<Action>& actions) {
  Steps steps;
  for (const Action& action : actions) {
    if (action.kind == Action::Kind::kStop) {
      const auto begun = progress_.begun.find(action.nominal);
      if (begun != progress_.begun.end())
        steps.push_back({Step::Kind::kStop, begun->second.firing});
      continue;
    }
    auto node = progress_.waiting.extract(action.nominal);
    if (node.empty()) continue;
    if (action.kind == Action::Kind::kSkip) {
      ++progress_.skipped;
      continue;
    }
    ++progress_.fired;
    progress_.last = action.nominal;
    progress_.last_job = node.mapped().job.text;
    progress_.begun[action.nominal] = {node.mapped(), false};
    steps.push_back({Step::Kind::kStart, node.mapped()});
  }
  return steps;
}

void HeldSchedule::started(const JobId& job) {
  for (auto& [nominal, begun] : progress_.begun)
    if (begun.firing.job == job) begun.is_started = true;
}

Steps HeldSchedule::ended(const JobId& job) {
  for (auto& [nominal, begun] : progress_.begun) {
    if (begun.firing.job != job) continue;
    const WallTime which = nominal;
    progress_.begun.erase(which);
    return act(gate_.ended(which));
  }
  return {};
}

Steps HeldSchedule::failed(const JobId& job, const std::string& why) {
  ++progress_.failed;
  progress_.error = cut_text(why, 500);
  if (progress_.last_job == job.text) progress_.last_job.clear();  // there is no such job
  return ended(job);
}

ScheduleProgress HeldSchedule::give_up() {
  skip_waiting();
  progress_.begun.clear();
  return std::move(progress_);
}

wire::Map HeldSchedule::state() const {
  return progress_state(definition_.id, definition_.revision, definition_.firings.size(),
                        progress_);
}

wire::Map progress_state(const std::string& id, std::int64_t revision, std::uint64_t left,
                         const ScheduleProgress& progress) {
  return {{"id", id},
          {"revision", revision},
          {"cursor_ms", progress.cursor.time_since_epoch().count()},
          {"left", left},
          {"fired", progress.fired},
          {"skipped", progress.skipped},
          {"failed", progress.failed},
          {"running", progress.begun.size()},
          {"waiting", progress.waiting.size()},
          {"last_ms", progress.last.time_since_epoch().count()},
          {"last_job", progress.last_job},
          {"error", progress.error}};
}

}  // namespace rexec::agent
