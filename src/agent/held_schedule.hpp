// One schedule as this node holds it: what the controller sent, and how far it has come. Pure: told
// the time and of jobs' ends, it answers which firings to start and which jobs to stop. Doing that,
// and keeping it on disk, is schedules.*.
//
// A firing at or before the cursor is never decided on again, so a clock that is put back fires
// nothing twice; and what was begun is in `begun` before it is started, so that a crash in between
// starts the same job again, which its directory allows once.
//
// After a start it holds back what it missed until the controller was heard, which may have paused
// or dropped it meanwhile, or until kHearFirst has passed without a controller.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "src/base/ids.hpp"
#include "src/schedule/firing.hpp"
#include "src/schedule/overlap.hpp"
#include "src/wire/maps.hpp"

namespace rexec::agent {

// Enough to connect and to hear of all schedules; short for a node that is on its own.
inline constexpr Millis kHearFirst = std::chrono::seconds(10);

struct HeldFiring {
  WallTime nominal;
  JobId job;
  std::string ticket;
};

struct ScheduleDefinition {
  std::string id;
  std::string name;
  std::int64_t revision = 0;
  std::string kind;  // kind, rule and zone are for people: the firings are here
  std::string rule;
  std::string zone;
  schedule::Overlap overlap = schedule::Overlap::kSkip;
  schedule::CatchUp catch_up = schedule::CatchUp::kNone;
  Millis jitter{0};
  std::string owner;
  std::string spec;
  bool is_paused = false;
  std::vector<HeldFiring> firings;  // in order
};

struct BegunFiring {
  HeldFiring firing;
  bool is_started = false;  // the spawner has it
};

struct ScheduleProgress {
  WallTime cursor{};
  std::uint64_t fired = 0;
  std::uint64_t skipped = 0;
  std::uint64_t failed = 0;
  WallTime last{};
  std::string last_job;                   // of the last firing; none when that failed
  std::string error;                      // why the last failed start failed
  std::map<WallTime, BegunFiring> begun;  // not ended yet
  std::map<WallTime, HeldFiring> waiting;
};

struct Step {
  enum class Kind { kStart, kStop };
  Kind kind;
  HeldFiring firing;
};
using Steps = std::vector<Step>;

class HeldSchedule {
 public:
  // `progress` is that of an earlier run, or new with a cursor.
  HeldSchedule(NodeId node, ScheduleDefinition definition, ScheduleProgress progress);
  // After a start of the node at `up_since`. Starts nothing: what an earlier run left waiting is
  // held back as what was missed is.
  void restore(WallTime up_since);
  // The controller has said all it had to say: nothing is held back any more. tick() is next.
  Steps heard();
  void replace(ScheduleDefinition definition);
  Steps tick(WallTime now);
  void started(const JobId& job);
  Steps ended(const JobId& job);
  // It could not be started.
  Steps failed(const JobId& job, const std::string& why);
  // It is not held any more: what waits is skipped.
  ScheduleProgress give_up();

  std::optional<WallTime> next_due() const;
  const ScheduleDefinition& definition() const { return definition_; }
  const ScheduleProgress& progress() const { return progress_; }
  // What the controller is told; small.
  wire::Map state() const;

 private:
  WallTime due_of(const HeldFiring& firing) const;
  Steps act(const std::vector<schedule::Action>& actions);
  void forget_decided();
  void skip_waiting();
  bool holds_back() const;
  bool may_pass() const;

  NodeId node_;
  ScheduleDefinition definition_;
  ScheduleProgress progress_;
  schedule::OverlapGate gate_;
  WallTime up_since_{};   // what was due by then was missed
  bool is_heard_ = true;  // the controller, since then
};

// {id, revision, cursor_ms, …}: also of a schedule that is held no more.
wire::Map progress_state(const std::string& id, std::int64_t revision, std::uint64_t left,
                         const ScheduleProgress& progress);

}  // namespace rexec::agent
