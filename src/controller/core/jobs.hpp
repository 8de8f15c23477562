// The jobs of memory: all that have not ended, and those that ended last. Pure. The rules of the
// life cycle are here: a final state is reached once and never left, a report may be repeated, and
// an id is derived from the request so that a repeated submit finds its job. The store holds every
// row (store/tables/jobs) and answers for the jobs that are not here any more (recall.cpp); the
// node holds the truth of what happened.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "src/base/clock.hpp"
#include "src/base/ids.hpp"
#include "src/controller/core/kept_spec.hpp"
#include "src/controller/core/terms.hpp"
#include "src/wire/maps.hpp"

namespace rexec::controller {

enum class JobState { kAccepted, kDispatched, kRunning, kFinal };
std::string_view state_name(JobState state);
// What is shown, and stored, of a running job between two attempts.
inline constexpr std::string_view kRestarting = "restarting";

// Its user wants it stopped, and its node has not said yet that it ended.
struct PendingStop {
  std::optional<std::uint64_t> grace_ms;  // none: the job's own
  bool is_told_again = false;             // soon: its node could not stop it
};

struct Job {
  AttemptKey key;
  RunId run;  // empty when it is not part of a fan-out
  NodeId node;
  std::string node_name;
  UserId owner;
  std::string owner_name;
  std::string request;    // hex, chosen by the client
  std::string spec_hash;  // hex SHA-256 of the spec
  std::string command;    // printable summary of argv
  std::string ticket;     // raw HMAC
  bool is_detached = false;
  bool is_keyed = false;  // its request is a key that somebody chose
  // Acknowledged only after its commit, which is under way: no effect of it may leave before.
  bool is_uncommitted = false;
  bool is_read = false;     // its run has all of its output
  bool is_removed = false;  // somebody removes it, and its row goes
  // Its node has named it: it is the node's to say what becomes of it.
  bool is_told = false;
  JobState state = JobState::kAccepted;
  WallTime created{};
  WallTime started{};
  WallTime ended{};
  std::optional<WallTime> next_attempt;     // the last one has ended, another begins then
  std::shared_ptr<const wire::Map> record;  // set exactly when final, and the same for ever
  std::shared_ptr<const KeptSpec> spec;     // kept until the node says it started
  std::shared_ptr<const void> place;        // among its owner's jobs, until it is final
  std::shared_ptr<const void> kept_spec;    // what its command takes of the disk until then
  std::shared_ptr<const void> tells_read;   // what waits to tell its node so
  std::shared_ptr<const Terms> terms;       // null: it starts at once
  std::string waiting;                      // what for, in words; empty: it does not
  std::string held;                         // the running job is held back: why, in words
  std::optional<PendingStop> stop;

  bool is_final() const { return state == JobState::kFinal; }
  // Final by the controller's word: no node has a record or output of it (record_without_run).
  bool ended_here() const { return is_final() && !record->contains("xxh128"); }
  // Nothing can start it: it has no command here, and its node has not named it. Its client may
  // submit it again.
  bool is_bare() const {
    return !is_final() && state != JobState::kRunning && !is_detached && !spec && !is_told;
  }
  // Of a final job: a process of it may have written something, or it is not known.
  bool may_have_run() const;
  // "running", "restarting" between two attempts, or the outcome of a final one.
  std::string shown_state() const;
};

// What `ps` and `job show` print; stable keys.
wire::Map job_to_map(const Job& job);
// An end record that the controller makes itself, for a job that no node ran, or that is "lost":
// that one is not complete.
wire::Map record_without_run(const Job& job, std::string_view outcome, int code,
                             std::string_view reason);

// "j-" and 12 Crockford characters of SHA-256 over user, request and node: see PROTOCOL.md.
JobId derive_job_id(const UserId& user, const std::string& request, const NodeId& node);

// The place of a job in every list: the newest first, of one moment the greatest id.
struct JobOrder {
  WallTime created{};
  JobId id;
  bool operator<(const JobOrder& other) const {
    return created != other.created ? created > other.created : id > other.id;
  }
};

class JobTable {
 public:
  // `most_ended`: how many that ended stay here.
  explicit JobTable(std::size_t most_ended = 1000) : most_ended_(most_ended) {}

  Job& add(Job job);
  Job* find(const JobId& id);
  // Whoever goes on with a job after something else happened holds it by this: an ended one may
  // have left the table by then.
  std::shared_ptr<Job> share(const JobId& id);
  // All that one owner's request made, wherever.
  std::vector<Job*> of_request(const UserId& owner, const std::string& request);
  // Those whose id begins so.
  std::vector<std::shared_ptr<Job>> with_prefix(const std::string& prefix);
  void remove(const std::vector<JobId>& ids);
  // Its end is on the disk: it leaves when `most_ended` others have ended after it. False: that is
  // known already, or it is not here.
  bool retire(const JobId& id);
  // That of a job that has ended; what is not here is on the disk.
  bool is_end_kept(const JobId& id) const;
  const std::map<JobOrder, Job*>& newest_first() const { return order_; }
  // The oldest first: at most so many of those after a place.
  std::vector<Job*> unfinished_on(const NodeId& node, const std::optional<JobOrder>& after = {},
                                  std::size_t most = SIZE_MAX);
  std::size_t count_unfinished_on(const NodeId& node) const;
  // A job of the table became final.
  void note_end(const Job& job);
  std::size_t size() const { return jobs_.size(); }
  std::size_t running() const;

  // The node's word. False when nothing changed (a repetition). A second, different final record is
  // ignored.
  static bool apply_running(Job& job, WallTime started);
  static bool apply_restarting(Job& job, const AttemptKey& ended, WallTime next);
  // A later attempt than the one known; nothing leads back.
  static bool apply_attempt(Job& job, std::uint32_t attempt, WallTime started);
  static bool apply_final(Job& job, wire::Map record, WallTime now);

 private:
  struct Slot {
    std::shared_ptr<Job> job;
    bool retired = false;
  };
  void erase(JobId id);

  std::size_t most_ended_;
  std::map<JobId, Slot> jobs_;
  std::map<JobOrder, Job*> order_;
  std::unordered_map<std::string, std::set<JobId>> by_request_;
  std::unordered_map<NodeId, std::set<JobOrder>> by_node_;  // not ended
  std::deque<JobId> retired_;                               // the oldest end first
};

}  // namespace rexec::controller
