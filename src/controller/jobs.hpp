// Every job the controller knows, in memory: identity, state, outcome. Pure. The rules of the life
// cycle are here: a final state is reached once and never left, a report may be repeated, and an id
// is derived from the request so that a repeated submit finds its job. The store holds the same
// rows (store/jobs), the node holds the truth of what happened.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "src/base/clock.hpp"
#include "src/base/ids.hpp"
#include "src/wire/maps.hpp"

namespace rexec::controller {

enum class JobState { kAccepted, kDispatched, kRunning, kFinal };
std::string_view state_name(JobState state);

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
  JobState state = JobState::kAccepted;
  WallTime created{};
  WallTime started{};
  WallTime ended{};
  std::optional<wire::Map> record;          // set exactly when final
  std::shared_ptr<const std::string> spec;  // kept until the node says it started

  bool is_final() const { return state == JobState::kFinal; }
  // "running", or the outcome of a final one.
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

class JobTable {
 public:
  Job& add(Job job);
  Job* find(const JobId& id);
  // All that one owner's request made, wherever.
  std::vector<Job*> of_request(const UserId& owner, const std::string& request);
  // A whole id, or a unique prefix of at least 4 characters (with or without "j-"): kUnknownJob,
  // kAmbiguousJob.
  Result<Job*> resolve(const std::string& prefix);
  void remove(const std::vector<JobId>& ids);
  // Newest first.
  std::vector<Job*> newest(std::size_t limit);
  std::vector<Job*> unfinished_on(const NodeId& node);
  std::size_t size() const { return jobs_.size(); }
  std::size_t running() const;

  // The node's word. False when nothing changed (a repetition). A second, different final record is
  // ignored.
  static bool apply_running(Job& job, WallTime started);
  static bool apply_final(Job& job, wire::Map record, WallTime now);

 private:
  std::unordered_map<JobId, std::unique_ptr<Job>> jobs_;
  std::deque<JobId> order_;  // oldest first
  std::unordered_multimap<std::string, JobId> by_request_;
};

}  // namespace rexec::controller
