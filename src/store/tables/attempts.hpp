// The attempts table: how the attempts of a restarted job ended, the last of them too. A job that
// was never restarted has no row here. Used by the controller's hub and by `job show`.
#pragma once

#include <string>
#include <vector>

#include "src/store/tables/jobs.hpp"

namespace rexec::store {

// Of one job so many are kept, the newest: it may be restarted for years.
inline constexpr std::uint32_t kAttemptsKept = 20;

struct AttemptRow {
  JobId job;
  std::uint32_t attempt = 1;
  std::string record;  // end record JSON
};

// Written again it is replaced.
void put_attempt(Database& db, const AttemptRow& row);
// Oldest first.
std::vector<AttemptRow> list_attempts(Database& db, const JobId& job);
void remove_attempts(Database& db, const JobId& job);

}  // namespace rexec::store
