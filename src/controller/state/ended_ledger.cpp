#include "src/controller/state/ended_ledger.hpp"

#include <algorithm>

#include "src/job/spec/spec.hpp"

namespace rexec::controller {

EndedLimits ended_limits(std::uint64_t disk, std::optional<std::uint64_t> keep_bytes) {
  // More than a million and a half of small jobs.
  constexpr std::uint64_t kMost = 2ULL << 30;
  return {keep_bytes.value_or(std::min(kMost, disk / 8)), disk / 2};
}

void EndedLedger::database_has(std::uint64_t used) { bound_ = used; }

store::Measure EndedLedger::measure() {
  // With the largest commands less than what the limits are about.
  constexpr std::size_t kOperationsBetweenLooks = 32;
  if (phase_ != Phase::kBounded) return store::Measure::kEachJob;
  const std::uint64_t between = kOperationsBetweenLooks * job::kMaxSpecBytes;
  const bool is_far = bound_ + between < std::min(limits_.each, limits_.all);
  if (is_far && ++operations_ % kOperationsBetweenLooks != 0) return store::Measure::kNothing;
  return store::Measure::kDatabase;
}

bool EndedLedger::wants_sum() const {
  return phase_ == Phase::kSumming ||
         (phase_ == Phase::kBounded && bound_ > std::min(limits_.each, limits_.all));
}

// While the sum is made: what it will come to is added then.
bool EndedLedger::is_counted(store::EndPlace place) const {
  return phase_ == Phase::kSummed || (phase_ == Phase::kSumming && place <= summed_to_);
}

void EndedLedger::change(const std::string& name, std::uint64_t plus, std::uint64_t minus) {
  User& user = users_[name];
  by_bytes_.erase({user.bytes, name});
  minus = std::min(minus, user.bytes + plus);
  user.bytes = user.bytes + plus - minus;
  all_ = all_ + plus - minus;
  if (user.bytes <= low_of_one()) user.is_dropping = false;
  if (user.bytes == 0)
    users_.erase(name);
  else
    by_bytes_.emplace(user.bytes, name);
}

// One of his jobs has it already, or another user's.
void EndedLedger::charge_spec(const store::EndedJob& job) {
  if (job.spec == 0 || !specs_.emplace(job.spec, job.owner.text).second) return;
  change(job.owner.text, job.spec_bytes, 0);
}

void EndedLedger::ended(const store::EndedJob& job) {
  if (!is_counted(job.place)) return;
  // A clock that was put back has it end before others that were looked at.
  const store::EndPlace before{job.place.ended_ms, job.place.row - 1};
  const auto [at, is_first] = users_.try_emplace(job.owner.text);
  at->second.after = is_first ? before : std::min(at->second.after, before);
  change(job.owner.text, job.bytes, 0);
  charge_spec(job);
}

void EndedLedger::command_kept(const store::EndedJob& job) {
  if (is_counted(job.place)) charge_spec(job);
}

void EndedLedger::freed(const store::FreedJob& freed) {
  const store::EndedJob& job = freed.job;
  if (phase_ == Phase::kBounded) return;
  if (is_counted(job.place) && job.bytes > 0) change(job.owner.text, 0, job.bytes);
  const auto charged = specs_.find(job.spec);
  if (job.spec == 0 || charged == specs_.end()) return;
  if (charged->second == freed.keeper.text) return;
  if (!freed.keeper.empty() && charged->second != job.owner.text) return;
  change(charged->second, 0, job.spec_bytes);
  specs_.erase(charged);
  if (freed.keeper.empty()) return;
  specs_.emplace(job.spec, freed.keeper.text);
  change(freed.keeper.text, job.spec_bytes, 0);
}

void EndedLedger::sum(std::span<const store::EndedJob> jobs, Page page) {
  phase_ = Phase::kSumming;
  for (const store::EndedJob& job : jobs) {
    summed_to_ = job.place;
    ended(job);
  }
  if (page == Page::kLast) phase_ = Phase::kSummed;
}

// What is left is of jobs that have not ended, and of others' that share a command.
bool EndedLedger::is_stuck(const User& user) const {
  return user.stuck && user.bytes <= *user.stuck + std::min(limits_.each, limits_.all) / kSlack;
}

EndedLedger::Drop EndedLedger::drop_of(Why why, const std::string& name,
                                       std::uint64_t bytes) const {
  const User& user = users_.at(name);
  return {why, {name}, user.after, bytes, user.keyed};
}

std::optional<EndedLedger::Drop> EndedLedger::next_drop() {
  if (phase_ != Phase::kSummed) return std::nullopt;
  const std::uint64_t low = low_of_one();
  for (auto at = by_bytes_.rbegin(); at != by_bytes_.rend() && at->first > low; ++at) {
    User& user = users_.at(at->second);
    if ((at->first <= limits_.each && !user.is_dropping) || is_stuck(user)) continue;
    user.is_dropping = true;
    return drop_of(Why::kOneUser, at->second, at->first - low);
  }
  return drop_for_all();
}

// Of the user who has most, until the next one has as much.
std::optional<EndedLedger::Drop> EndedLedger::drop_for_all() {
  const std::uint64_t low = low_of_all();
  if (all_ <= low) is_dropping_for_all_ = false;
  if (all_ <= limits_.all && !is_dropping_for_all_) return std::nullopt;
  const auto may_go = [this](const auto& one) { return !is_stuck(users_.at(one.second)); };
  const auto most = std::find_if(by_bytes_.rbegin(), by_bytes_.rend(), may_go);
  if (most == by_bytes_.rend()) return std::nullopt;
  is_dropping_for_all_ = true;
  const auto next = std::next(most);
  const std::uint64_t excess = all_ - low;
  const std::uint64_t ahead = most->first - (next == by_bytes_.rend() ? 0 : next->first);
  return drop_of(Why::kAllUsers, most->second, std::clamp(ahead, 1 + (excess - 1) / 8, excess));
}

void EndedLedger::dropped(const UserId& owner, const store::DroppedEnded& step) {
  const auto at = users_.find(owner.text);
  if (at == users_.end()) return;
  User& user = at->second;
  user.after = std::max(user.after, step.next);
  if (step.before && !user.before) user.before = step.before;
  if (!step.is_last || (user.bytes <= low_of_one() && all_ <= low_of_all())) return;
  if (user.keyed == store::Keyed::kStay && user.before) {
    user.keyed = store::Keyed::kGo;
    user.after = *std::exchange(user.before, std::nullopt);
    return;
  }
  user.keyed = store::Keyed::kStay;
  user.before.reset();
  user.stuck = user.bytes;
}

std::uint64_t EndedLedger::used(const UserId& user) const {
  const auto at = users_.find(user.text);
  return at == users_.end() ? 0 : at->second.bytes;
}

}  // namespace rexec::controller
