// Stops that were accepted and not carried out yet: the job's node is away, or has not said that
// the job ended. A row a job, beside its row in `jobs`; it goes when the job has ended. Used by the
// controller's hub.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "src/base/ids.hpp"
#include "src/store/database/database.hpp"

namespace rexec::store {

struct StopRow {
  JobId job;
  std::optional<std::uint64_t> grace_ms;  // none: the job's own
};

// Of the jobs that have not ended.
std::vector<StopRow> load_stops(Database& db);
// Written again it is replaced.
void put_stop(Database& db, const StopRow& row);
void remove_stop(Database& db, const JobId& job);

}  // namespace rexec::store
