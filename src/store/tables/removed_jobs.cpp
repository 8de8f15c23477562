// See removed_jobs.hpp.
#include "src/store/tables/removed_jobs.hpp"

#include "src/store/database/sql.hpp"

namespace rexec::store {
namespace {

RemovedJob read(Database& db, Run& from) {
  RemovedJob job{{from.text(0)}, from.time(1)};
  if (row_sum(job.id.text, job.removed) != from.integer(2))
    reject_damaged_row(db, "removed_jobs", job.id.text);
  return job;
}

auto reader(Database& db) {
  return [&db](Run& from) { return read(db, from); };
}

}  // namespace

void put_removed_job(Database& db, const RemovedJob& job) {
  run(db, "INSERT OR REPLACE INTO removed_jobs VALUES (?,?,?)", job.id.text, job.removed,
      row_sum(job.id.text, job.removed));
}

bool was_job_removed(Database& db, const JobId& id) {
  return query_one(db, reader(db), "SELECT * FROM removed_jobs WHERE id = ?", id.text).has_value();
}

std::vector<RemovedJob> load_removed_jobs(Database& db) {
  return query(db, reader(db), "SELECT * FROM removed_jobs");
}

void prune_removed_jobs(Database& db, WallTime before) {
  run(db, "DELETE FROM removed_jobs WHERE removed < ?", before);
}

}  // namespace rexec::store
