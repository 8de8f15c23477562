// What happens when a schedule fires on a node where its last job still runs: allow, skip, queue or
// replace. A pure state machine: told of what is due and what has ended, it answers what to do. It
// starts and stops nothing itself (agent/schedules.* does) and knows no clock.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "src/base/clock.hpp"

namespace rexec::schedule {

enum class Overlap { kAllow, kSkip, kQueue, kReplace };
std::string_view overlap_name(Overlap kind);  // "allow", "skip", "queue", "replace"
std::optional<Overlap> overlap(std::string_view name);

// A firing beyond these is skipped: a job that never ends must not pile up without end.
inline constexpr std::size_t kMaxQueued = 32;
inline constexpr std::size_t kMaxAtOnce = 100;

struct Action {
  enum class Kind { kStart, kSkip, kStop };
  Kind kind;
  WallTime nominal;  // of the firing to start or skip, or of the one whose job is to stop
  bool operator==(const Action&) const = default;
};

enum class Timing { kOnTime, kCaughtUp };

class OverlapGate {
 public:
  explicit OverlapGate(Overlap kind) : kind_(kind) {}
  // Caught-up firings were asked for one by one, so they wait for their turn where one that is on
  // time would be skipped or would replace. Each firing is due once.
  std::vector<Action> due(WallTime nominal, Timing timing);
  // The job of that firing has ended, or could not be started. Unknown ones are ignored.
  std::vector<Action> ended(WallTime nominal);
  // Nothing starts any more: the waiting ones are skipped. What runs goes on.
  std::vector<Action> drop_waiting();
  // After a restart of the agent: what the last one had started, and what was waiting.
  std::vector<Action> restore(std::set<WallTime> running, std::deque<WallTime> waiting);
  // The kind may change while jobs run; it is obeyed from the next firing on.
  void use(Overlap kind) { kind_ = kind; }

  const std::set<WallTime>& running() const { return running_; }
  const std::deque<WallTime>& waiting() const { return waiting_; }

 private:
  void wait_or_skip(WallTime nominal, std::vector<Action>& out);
  std::vector<Action> start_waiting();
  void replace_with(WallTime nominal, std::vector<Action>& out);

  Overlap kind_;
  std::set<WallTime> running_;
  std::deque<WallTime> waiting_;  // oldest first
  std::set<WallTime> stopping_;
};

}  // namespace rexec::schedule
