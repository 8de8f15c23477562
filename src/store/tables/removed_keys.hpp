// The idempotency keys of jobs that somebody removed. The promise of a key, never two jobs, is also
// for those whose first one was removed: without its row nothing else would stand against a second.
// Of several jobs with one key (a fan-out) the one that was removed last is named. Used by `job
// rm`, by the recall of a submit's jobs and by housekeeping.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/base/clock.hpp"
#include "src/base/ids.hpp"
#include "src/store/database/database.hpp"
#include "src/store/tables/jobs.hpp"

namespace rexec::store {

struct RemovedKey {
  UserId owner;
  std::string request;  // the submit's request id, which the key is the origin of
  JobId job;
  WallTime removed;
};

// remove_job; what stays is its id (removed_jobs.hpp), and its key if it has one.
std::optional<FreedJob> remove_job_but_key(Database& db, const JobId& id, WallTime now);
std::optional<RemovedKey> find_removed_key(Database& db, const UserId& owner,
                                           const std::string& request);
// Drops those of jobs removed before `before`, at most `limit`. Its `ids` are empty.
Pruned prune_removed_keys(Database& db, WallTime before, std::size_t limit = 2000);
std::vector<std::uint64_t> load_removed_keys(Database& db);
std::vector<RemovedKey> list_removed_keys(Database& db);
void put_removed_key(Database& db, const RemovedKey& key);

}  // namespace rexec::store
