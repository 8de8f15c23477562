// The ids of jobs that somebody removed. A node may have a record of one, and the ticket that made
// it the controller's: without these it would come back by the node's next word. They are kept
// longer than any ticket is believed, see kKeepRemovedJobs.
#pragma once

#include <vector>

#include "src/base/clock.hpp"
#include "src/base/ids.hpp"
#include "src/store/database/database.hpp"

namespace rexec::store {

// A node may be away for that long with a record that it has not told. A ticket is not believed any
// more after this time, so no id that went from here can come back.
inline constexpr Millis kKeepRemovedJobs = std::chrono::days(366);

struct RemovedJob {
  JobId id;
  WallTime removed;
};

void put_removed_job(Database& db, const RemovedJob& job);
bool was_job_removed(Database& db, const JobId& id);
std::vector<RemovedJob> load_removed_jobs(Database& db);
// Drops those removed before `before`.
void prune_removed_jobs(Database& db, WallTime before);

}  // namespace rexec::store
