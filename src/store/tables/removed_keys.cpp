// See removed_keys.hpp.
#include "src/store/tables/removed_keys.hpp"

#include "src/store/database/sql.hpp"
#include "src/store/tables/removed_jobs.hpp"

namespace rexec::store {
namespace {

auto reader(Database& db) {
  return [&db](Run& from) {
    RemovedKey row{{from.text(0)}, from.text(1), {from.text(2)}, from.time(3)};
    if (row_sum(row.owner.text, row.request, row.job.text, row.removed) != from.integer(4))
      reject_damaged_row(db, "removed_keys", row.request);
    return row;
  };
}

std::uint64_t key_of(const RemovedKey& row) { return request_key(row.owner, row.request); }

}  // namespace

std::optional<FreedJob> remove_job_but_key(Database& db, const JobId& id, WallTime now) {
  const auto job = find_job(db, id);
  if (job && job->keyed) put_removed_key(db, {job->owner, job->request, id, now});
  put_removed_job(db, {id, now});
  return remove_job(db, id);
}

void put_removed_key(Database& db, const RemovedKey& key) {
  run(db, "INSERT OR REPLACE INTO removed_keys VALUES (?,?,?,?,?)", key.owner.text, key.request,
      key.job.text, key.removed, row_sum(key.owner.text, key.request, key.job.text, key.removed));
}

std::vector<RemovedKey> list_removed_keys(Database& db) {
  return query(db, reader(db), "SELECT * FROM removed_keys");
}

std::optional<RemovedKey> find_removed_key(Database& db, const UserId& owner,
                                           const std::string& request) {
  return query_one(db, reader(db), "SELECT * FROM removed_keys WHERE owner = ? AND request = ?",
                   owner.text, request);
}

Pruned prune_removed_keys(Database& db, WallTime before, std::size_t limit) {
  const auto old =
      query(db, reader(db), "SELECT * FROM removed_keys WHERE removed < ? ORDER BY removed LIMIT ?",
            before, static_cast<std::int64_t>(limit));
  Pruned gone;
  gone.more = old.size() == limit;
  for (const RemovedKey& row : old) {
    run(db, "DELETE FROM removed_keys WHERE owner = ? AND request = ?", row.owner.text,
        row.request);
    if (!is_request_known(db, row.owner, row.request)) gone.keys.push_back(key_of(row));
  }
  return gone;
}

std::vector<std::uint64_t> load_removed_keys(Database& db) {
  std::vector<std::uint64_t> keys;
  for (const RemovedKey& row : list_removed_keys(db)) keys.push_back(key_of(row));
  return keys;
}

}  // namespace rexec::store
