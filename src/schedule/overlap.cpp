// See overlap.hpp.
#include "src/schedule/overlap.hpp"

#include <array>
#include <utility>

namespace rexec::schedule {
namespace {

constexpr std::array<std::string_view, 4> kNames{"allow", "skip", "queue", "replace"};

}  // namespace

std::string_view overlap_name(Overlap kind) { return kNames[static_cast<std::size_t>(kind)]; }

std::optional<Overlap> overlap(std::string_view name) {
  for (const Overlap kind : {Overlap::kAllow, Overlap::kSkip, Overlap::kQueue, Overlap::kReplace})
    if (overlap_name(kind) == name) return kind;
  return std::nullopt;
}

std::vector<Action> OverlapGate::due(WallTime nominal, Timing timing) {
  std::vector<Action> out;
  const bool is_free = kind_ == Overlap::kAllow ? running_.size() < kMaxAtOnce : running_.empty();
  if (is_free) {
    running_.insert(nominal);
    out.push_back({Action::Kind::kStart, nominal});
  } else if (timing == Timing::kOnTime && kind_ == Overlap::kReplace) {
    replace_with(nominal, out);
  } else if (kind_ == Overlap::kQueue ||
             (timing == Timing::kCaughtUp && kind_ != Overlap::kAllow)) {
    wait_or_skip(nominal, out);
  } else {
    out.push_back({Action::Kind::kSkip, nominal});
  }
  return out;
}

void OverlapGate::wait_or_skip(WallTime nominal, std::vector<Action>& out) {
  if (waiting_.size() >= kMaxQueued) return out.push_back({Action::Kind::kSkip, nominal});
  waiting_.push_back(nominal);
}

void OverlapGate::replace_with(WallTime nominal, std::vector<Action>& out) {
  out = drop_waiting();
  waiting_.push_back(nominal);
  for (const WallTime running : running_) {
    // Asked once: a second stop would cut its grace short.
    if (stopping_.insert(running).second) out.push_back({Action::Kind::kStop, running});
  }
}

std::vector<Action> OverlapGate::ended(WallTime nominal) {
  if (running_.erase(nominal) == 0) return {};
  stopping_.erase(nominal);
  return start_waiting();
}

std::vector<Action> OverlapGate::start_waiting() {
  if (!running_.empty() || waiting_.empty()) return {};
  const WallTime next = waiting_.front();
  waiting_.pop_front();
  running_.insert(next);
  return {{Action::Kind::kStart, next}};
}

std::vector<Action> OverlapGate::drop_waiting() {
  std::vector<Action> out;
  for (const WallTime skipped : std::exchange(waiting_, {}))
    out.push_back({Action::Kind::kSkip, skipped});
  return out;
}

std::vector<Action> OverlapGate::restore(std::set<WallTime> running, std::deque<WallTime> waiting) {
  running_ = std::move(running);
  waiting_ = std::move(waiting);
  return start_waiting();
}

}  // namespace rexec::schedule
