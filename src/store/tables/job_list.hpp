// Finished jobs by pages, newest first, by owner, node and state. A page goes on where the one
// before ended (keyset): what was added meanwhile neither repeats nor skips a row. One call looks
// at a bounded number of rows, because commits wait for it. Unfinished jobs are in the controller's
// memory. Used by src/controller/verbs/job_listing.
#pragma once

#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "src/store/tables/jobs.hpp"

namespace rexec::store {

// Empty fields fit every job.
struct JobFilter {
  UserId owner;
  std::string node_name;
  std::string state;
};

// The place of a job in the order: newest first, then by id, the greatest first.
struct JobPlace {
  std::int64_t created_ms = std::numeric_limits<std::int64_t>::max();
  std::string id;
  // True when `other` comes after it in the list.
  bool is_before(const JobPlace& other) const {
    return created_ms != other.created_ms ? created_ms > other.created_ms : id > other.id;
  }
  bool operator==(const JobPlace&) const = default;
};

struct JobPage {
  std::vector<JobRow> rows;
  std::optional<JobPlace> next;  // everything up to here was looked at; nullopt: there is no more
};
struct JobPageOptions {
  JobFilter filter;
  JobPlace after;  // the default is before the newest
  std::size_t limit = 200;
  std::size_t most_looked_at = 4096;
};
JobPage list_finished_jobs(Database& db, const JobPageOptions& options);

}  // namespace rexec::store
