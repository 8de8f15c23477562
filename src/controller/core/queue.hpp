// Which of the accepted jobs may start now: each waits for the ends of others, for its node, for
// named slots, and for no longer than it was told. Pure: it is told what happens and the time, and
// answers with what follows; dispatcher.* performs that. Jobs without terms never come here.
//
// Slots are given in the order of arrival: a job that waits for one stands in the line of all its
// locks (lock_line.*), keeps later jobs from taking what it needs, so none starves, and takes all
// its slots at once, so none deadlocks. One that waits for anything else keeps nobody from a slot.
//
// Whatever happens marks whom it concerns, by the job that ended, the node that came or went, the
// lock that has room: step() looks at these alone, at so many at a time as it is told.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "src/controller/core/lock_line.hpp"
#include "src/controller/core/terms.hpp"

namespace rexec::controller {

enum class Ending : std::uint8_t { kOk, kFailed };
enum class Presence : std::uint8_t { kOnline, kOffline };

class Queue {
 public:
  // kTurn: for a lock that nobody holds, but somebody before in the queue is to have.
  enum class Obstacle : std::uint8_t { kNone, kJob, kNode, kLock, kTurn };
  // What a job waits for at the moment, the first of it.
  struct Wait {
    Obstacle obstacle = Obstacle::kNone;
    JobId job;         // kJob: whose end; kLock: one that holds a slot; kTurn: who comes before
    std::string lock;  // kLock, kTurn
    bool operator==(const Wait&) const = default;
  };
  enum class Verdict : std::uint8_t { kDependency, kQueueTimeout, kNodeOffline };
  struct Refusal {
    JobId job;
    Verdict why;
    Dependency dependency;  // kDependency: the one that cannot come true any more
  };
  struct Step {
    std::vector<JobId> ready;      // hold their slots from now on
    std::vector<Refusal> refused;  // each once; they stay until ended() says that they are final
    // Wait, or may wait, for something else than before. Of those behind one lock the first few
    // only: when one of a hundred thousand starts, the others' news is not worth telling.
    std::vector<JobId> changed;
    bool has_more = false;  // it has not looked at all that it should
  };
  struct Waiting {
    JobId job;
    NodeId node;
    std::shared_ptr<const Terms> terms;
    BootTime accepted;
    // How those of its dependencies ended that have.
    std::map<JobId, Ending> endings;
  };

  void add(Waiting waiting);
  // Was started before this run of the controller: it holds its slots.
  void hold(const JobId& job, const NodeId& node, const Terms& terms);
  // Final, of its own or by a refusal: frees its slots, decides about those that wait for it. False
  // when that concerns nobody here.
  bool ended(const JobId& job, Ending ending);
  // All are offline at first.
  void node(const NodeId& id, Presence presence);

  // Looks at `most` jobs at the most.
  Step step(BootTime now, std::size_t most = SIZE_MAX);
  // When step() may have something to say though nothing happened; max: never.
  BootTime wake_at() const;

  bool is_waiting(const JobId& job) const { return by_job_.contains(job); }
  Wait wait_of(const JobId& job) const;
  std::size_t size() const { return waiting_.size(); }

 private:
  using Number = std::uint64_t;  // by arrival
  using Line = std::shared_ptr<LockLine>;
  struct Dependencies {
    std::vector<bool> settled;  // as they stand in the terms
    std::size_t open = 0;
    std::size_t first_open = 0;
    // By group: how many of it are open, and whether one has failed.
    std::map<std::uint32_t, std::pair<std::size_t, bool>> failing;
    std::optional<Dependency> broken;
  };
  struct Entry {
    JobId job;
    NodeId node;
    std::shared_ptr<const Terms> terms;
    std::vector<Line> lines;  // in the order of the terms
    BootTime expires;         // --queue-timeout
    BootTime online_until;    // --wait-online, until it was seen online once
    Dependencies after;
    bool in_line = false;
    LockLine* stuck_at = nullptr;
    bool is_refused = false;
    std::pair<Obstacle, std::size_t> told{Obstacle::kNone, 0};  // with the dependency or lock
  };
  using Dependents = std::set<std::pair<Number, std::size_t>>;  // with the place in its terms

  Line line_of(const Lock& lock, const NodeId& node);
  void drop_if_unused(Line line);
  void settle(Entry& entry, std::size_t dependency, Ending ending);
  void forget(Number number);
  enum class Leaving : std::uint8_t { kFreesPlace, kTakesSlot };
  void leave_lines(Number number, Entry& entry, Leaving how);
  void mark(const Line& line);
  // Each does one thing of those that are due, and says whether there was one.
  bool use_deadline(BootTime now);
  bool use_ending();
  bool use_node();
  bool use_fresh(BootTime now, Step& out);
  bool use_due(BootTime now, Step& out);
  bool use_line(BootTime now, Step& out);
  bool has_due(BootTime now) const;

  std::optional<Verdict> verdict(Number number, Entry& entry, BootTime now);
  // kNone: it may start. Else with the place of what it waits for in its terms.
  std::pair<Obstacle, std::size_t> obstacle(Number number, const Entry& entry) const;
  void look_at(Number number, BootTime now, Step& out);

  std::map<Number, Entry> waiting_;
  std::unordered_map<JobId, Number> by_job_;
  std::unordered_map<NodeId, std::set<Number>> by_node_;
  std::unordered_map<JobId, Dependents> dependents_;
  std::unordered_map<std::string, Line> lines_;
  std::unordered_map<JobId, std::vector<Line>> holds_;
  std::unordered_set<NodeId> online_;
  std::set<std::pair<BootTime, Number>> deadlines_;
  Number next_ = 0;

  // What is to be looked at.
  std::deque<Number> fresh_;
  std::deque<std::pair<JobId, Ending>> endings_;  // whose dependents have not heard of it
  std::map<NodeId, Number> nodes_;                // the next of each that has not heard of it
  std::set<Number> due_;
  std::deque<Line> due_lines_;
};

}  // namespace rexec::controller
