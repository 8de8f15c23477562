// The jobs table: intent and, once known, outcome. Rows are whole values; the controller's memory
// decides what they say, and the only ones read back from here are those of finished jobs that it
// does not hold any more. Specs are kept apart, once per fan-out, as long as a job's row names
// them. Listing finished jobs is job_list.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/base/clock.hpp"
#include "src/base/ids.hpp"
#include "src/store/database/database.hpp"
#include "src/store/tables/ended_bytes.hpp"

namespace rexec::store {

enum class JobMode { kAttached, kDetached };

struct JobRow {
  JobId id;
  RunId run;  // empty: stands alone
  std::uint32_t attempt = 1;
  NodeId node;
  std::string node_name;  // as it was at submit
  UserId owner;
  std::string owner_name;
  std::string summary;          // the command for people: printable, cut
  std::string spec_hash;        // hex SHA-256 of the spec
  std::string request;          // the submit's request id
  std::string state;            // the controller's word: accepted, dispatched, running, exited …
  std::int64_t created_ms = 0;  // wall
  std::int64_t started_ms = 0;  // 0: not yet
  std::int64_t ended_ms = 0;
  std::string record;  // end record JSON; empty: none
  std::string ticket;
  JobMode mode = JobMode::kAttached;
  // The submit named its key: somebody may come back with it, so the row outlives keep_jobs.
  bool keyed = false;
};

// Those without an end, oldest first.
std::vector<JobRow> load_unfinished_jobs(Database& db);
std::optional<JobRow> find_job(Database& db, const JobId& id);
// Every job of the owner's request, on whichever node.
std::vector<JobRow> find_jobs_of_request(Database& db, const UserId& owner,
                                         const std::string& request);
// At most `limit` jobs whose id begins so; of `owner` alone unless that is empty.
std::vector<JobRow> find_jobs_by_prefix(Database& db, const std::string& prefix,
                                        const UserId& owner, std::size_t limit);

// What a request is known by in memory: 64 bits of (owner, request). Two requests that share one
// cost a look into this table, nothing else.
std::uint64_t request_key(const UserId& owner, const std::string& request);
// A job of it is there, or one was removed and its key is kept (removed_keys.hpp).
bool is_request_known(Database& db, const UserId& owner, const std::string& request);
// One for each row.
std::vector<std::uint64_t> load_request_keys(Database& db);

enum class Inserted { kYes, kAlready };
// kAlready and nothing changed when the id is there with the same spec; rejects with kConflict when
// the spec differs.
Inserted insert_job(Database& db, const JobRow& job);
// Attempt, state, times, record, ticket, node name. Rejects with kUnknownJob.
void update_job(Database& db, const JobRow& job);
// insert or replace: for adopting ticketed jobs and for writing behind.
void put_job(Database& db, const JobRow& job);
// With its spec, if no other job has that. What that frees, if the job was there and had ended.
std::optional<FreedJob> remove_job(Database& db, const JobId& id);
struct Pruned {
  std::vector<JobId> ids;
  std::vector<std::uint64_t> keys;  // of requests that are not known any more
  bool more = false;                // the limit was reached
  std::vector<FreedJob> freed;
};
// Drops jobs that ended before `before`, oldest first, at most `limit`; those with a key of their
// own only if they ended before `keyed_before` too. A spec goes with its last job.
struct PruneJobs {
  WallTime before;
  WallTime keyed_before;
  std::size_t limit = 2000;
  std::uint64_t bytes = 32 << 20;  // and no more jobs once so many are freed
};
Pruned prune_jobs(Database& db, const PruneJobs& which);

// The spec's bytes under their hash; the same spec twice is stored once.
void put_spec(Database& db, const std::string& spec_hash, std::string_view spec);
// nullopt: it was too large to keep for an attached job, or its jobs are gone.
std::optional<std::string> find_spec(Database& db, const std::string& spec_hash);
// Its size, without reading it; 0: it is not there.
std::uint64_t spec_bytes(Database& db, const std::string& spec_hash);

}  // namespace rexec::store
