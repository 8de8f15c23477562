// See removed_keys.hpp.
#include "src/store/removed_keys.hpp"

#include "src/store/sql.hpp"

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

void remove_job_but_key(Database& db, const JobId& id, WallTime now) {
  const auto job = find_job(db, id);
  if (job && job->keyed)
    run(db, "INSERT OR REPLACE INTO removed_keys VALUES (?,?,?,?,?)", job->owner.text, job->request,
        id.text, now, row_sum(job->owner.text, job->request, id.text, now));
  remove_job(db, id);
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
  for (const RemovedKey& row : query(db, reader(db), "SELECT * FROM removed_keys"))
    keys.push_back(key_of(row));
  return keys;
}

}  // namespace rexec::store
