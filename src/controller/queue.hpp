// Which of the accepted jobs may start now: each waits for the ends of others, for its node, for
// named slots, and for no longer than it was told. Pure: it is handed the time and who is online,
// and answers with what follows; dispatcher.* performs that. Jobs without terms never come here.
//
// Of a lock with several numbers of slots the smallest that a holder or somebody before in the
// queue has named holds. Slots are given in the order of arrival: a job that waits for one keeps
// later jobs from taking what it needs, so none starves, and takes all its slots at once, so none
// deadlocks. One that waits for anything else keeps nobody from a slot.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "src/controller/terms.hpp"

namespace rexec::controller {

enum class Ending : std::uint8_t { kOk, kFailed };

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
    std::vector<JobId> ready;  // hold their slots from now on
    std::vector<Refusal> refused;
    std::vector<JobId> changed;  // wait for something else than before
  };
  struct Waiting {
    JobId job;
    NodeId node;
    Terms terms;
    BootTime accepted;
    // How those of its dependencies ended that have.
    std::map<JobId, Ending> endings;
  };

  void add(Waiting waiting);
  // Was started before this run of the controller, or is about to be: it holds its slots.
  void hold(const JobId& job, const NodeId& node, const Terms& terms);
  // Final, of its own or by a refusal: frees its slots, decides about those that wait for it. False
  // when that concerns nobody here.
  bool ended(const JobId& job, Ending ending);

  using IsOnline = std::function<bool(const NodeId&)>;
  // kNew looks at those that were added since the last step alone: enough when nothing else
  // happened, because nobody who comes later changes what those before him wait for.
  enum class Scope : std::uint8_t { kAll, kNew };
  Step step(BootTime now, const IsOnline& is_online, Scope scope = Scope::kAll);
  // When step() may have something to say though nothing happened; max: never.
  BootTime wake_at() const;

  bool is_waiting(const JobId& job) const { return by_job_.contains(job); }
  Wait wait_of(const JobId& job) const;
  std::size_t size() const { return waiting_.size(); }

 private:
  struct Entry {
    JobId job;
    NodeId node;
    Terms terms;
    std::vector<std::string> locks;  // their keys, in the order of the terms
    BootTime expires;                // --queue-timeout
    BootTime online_until;           // --wait-online, until it was seen online once
    std::set<JobId> open;            // dependencies that have not ended
    std::optional<Dependency> broken;
    Wait wait;
  };
  // By lock key: who holds one, and how many he was told there are.
  using Slots = std::map<std::string, std::map<JobId, std::uint32_t>>;
  using Deadlines = std::set<std::pair<BootTime, std::uint64_t>>;
  void settle(Entry& entry, const JobId& job, Ending ending);
  std::optional<Verdict> verdict(Entry& entry, BootTime now, bool online);
  Wait obstacle(const Entry& entry, bool online) const;
  void judge(std::uint64_t number, BootTime now, bool online, Step& out);
  void forget(std::uint64_t number);

  std::map<std::uint64_t, Entry> waiting_;  // by arrival
  std::unordered_map<JobId, std::uint64_t> by_job_;
  std::unordered_multimap<JobId, std::uint64_t> dependents_;
  Deadlines deadlines_;
  Slots held_;
  Slots reserved_;  // by those that waited for a slot at the last step, for later ones
  std::unordered_map<JobId, std::vector<std::string>> holds_;
  std::uint64_t next_ = 0;
  std::uint64_t seen_ = 0;  // the first number that no step has looked at
};

}  // namespace rexec::controller
