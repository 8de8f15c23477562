// The jobs table: intent and, once known, outcome. Rows are whole values; the controller's memory
// decides what they say. Specs are kept apart, once per fan-out, until every job that needs one has
// started.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/base/clock.hpp"
#include "src/base/ids.hpp"
#include "src/store/database.hpp"

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
};

// Newest first; at most `limit`.
std::vector<JobRow> load_jobs(Database& db, std::size_t limit = 1'000'000);
std::optional<JobRow> find_job(Database& db, const JobId& id);
enum class Inserted { kYes, kAlready };
// kAlready and nothing changed when the id is there with the same spec; rejects with kConflict when
// the spec differs.
Inserted insert_job(Database& db, const JobRow& job);
// Attempt, state, times, record, ticket, node name. Rejects with kUnknownJob.
void update_job(Database& db, const JobRow& job);
// insert or replace: for adopting ticketed jobs and for writing behind.
void put_job(Database& db, const JobRow& job);
void remove_job(Database& db, const JobId& id);
// Drops ended jobs older than `before`, oldest first, at most `limit`; their ids.
std::vector<JobId> prune_jobs(Database& db, WallTime before, std::size_t limit);

// The spec's bytes under their hash; the same spec twice is stored once.
void put_spec(Database& db, const std::string& spec_hash, std::string_view spec);
std::optional<std::string> find_spec(Database& db, const std::string& spec_hash);
// Drops specs that no job in state accepted or dispatched refers to. How many.
std::size_t prune_specs(Database& db);

}  // namespace rexec::store
