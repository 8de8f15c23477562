// See attempts.hpp.
#include "src/store/tables/attempts.hpp"

#include "src/store/database/sql.hpp"

namespace rexec::store {

void put_attempt(Database& db, const AttemptRow& row) {
  const std::int64_t attempt = row.attempt;
  run(db, "INSERT OR REPLACE INTO attempts VALUES (?,?,?,?)", row.job.text, attempt, row.record,
      row_sum(row.job.text, attempt, row.record));
  // Counted from the newest that there is, in whatever order a node tells them.
  run(db,
      "DELETE FROM attempts WHERE job = ?1 AND attempt <= "
      "(SELECT max(attempt) FROM attempts WHERE job = ?1) - ?2",
      row.job.text, std::int64_t{kAttemptsKept});
}

std::vector<AttemptRow> list_attempts(Database& db, const JobId& job) {
  const auto read = [&db](Run& from) {
    AttemptRow row{{from.text(0)}, static_cast<std::uint32_t>(from.integer(1)), from.text(2)};
    if (row_sum(row.job.text, from.integer(1), row.record) != from.integer(3))
      reject_damaged_row(db, "attempts", row.job.text);
    return row;
  };
  return query(db, read,
               "SELECT * FROM (SELECT * FROM attempts WHERE job = ? ORDER BY attempt DESC LIMIT ?) "
               "ORDER BY attempt",
               job.text, std::int64_t{kAttemptsKept});
}

void remove_attempts(Database& db, const JobId& job) {
  run(db, "DELETE FROM attempts WHERE job = ?", job.text);
}

}  // namespace rexec::store
