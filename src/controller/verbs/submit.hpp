// A submit as values, and what it comes to before anything is changed: for each of its parts the
// nodes and what every job of it will be. A plain submit has one part; a DAG has one for each of
// its jobs, each after parts before it. fanout.* makes the jobs.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "src/controller/state/hub.hpp"
#include "src/job/spec/spec.hpp"

namespace rexec::controller {

struct PartDependency {
  std::size_t part = 0;  // an earlier one
  After when = After::kOk;
};

struct Part {
  std::string name;  // in a DAG
  std::string targets;
  std::string spec;
  std::size_t spec_size = 0;  // as announced
  Terms terms;                // its `after` names jobs by their whole ids
  std::vector<PartDependency> after;
};

enum class Kind { kPlain, kDag };

struct Submit {
  UserId owner;
  std::string owner_name;
  std::string request;  // hex
  bool is_detached = false;
  bool is_keyed = false;  // the request is a key that somebody chose
  Kind kind = Kind::kPlain;
  std::vector<Part> parts;
  std::map<JobId, Ending> endings;  // of jobs in its terms that have ended
};

inline constexpr std::size_t kMostParts = 1000;

// One part with what follows from it. Its nodes are not empty.
struct PartPlan {
  std::string request;  // of its jobs
  std::string name;
  std::string targets;
  std::vector<Node*> nodes;
  std::string command;
  std::string spec_hash;
  std::shared_ptr<const KeptSpec> spec;
  std::shared_ptr<const Terms> terms;     // null: it starts at once
  std::shared_ptr<const void> kept_spec;  // Job::kept_spec; null when all of its jobs are known
};

struct Plan {
  UserId owner;
  std::string owner_name;
  RunId run;  // empty for one job alone
  bool is_detached = false;
  bool is_keyed = false;
  bool is_durable = false;  // acknowledged after its commit
  std::vector<PartPlan> parts;
  std::map<JobId, Ending> endings;
};

// The command for people: printable, cut.
std::string summary_of(const job::JobSpec& spec);
// The request id of the jobs of a part.
std::string request_of(const Submit& submit, const Part& part);
// kUnknownNode and what select says, kUsage for a spec, kConflict for a request that was made for
// others, kNodeOffline for the only node when nothing lets the job wait. Changes nothing. The jobs
// of the request are in memory.
Result<Plan> make_plan(Hub& hub, const Submit& submit);

}  // namespace rexec::controller
