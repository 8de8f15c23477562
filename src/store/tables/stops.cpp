// See stops.hpp.
#include "src/store/tables/stops.hpp"

#include "src/store/database/sql.hpp"

namespace rexec::store {
namespace {

constexpr std::int64_t kOwnGrace = -1;

}  // namespace

std::vector<StopRow> load_stops(Database& db) {
  const auto read = [&db](Run& from) {
    StopRow row{{from.text(0)}, std::nullopt};
    const std::int64_t grace = from.integer(1);
    if (row_sum(row.job.text, grace) != from.integer(2))
      reject_damaged_row(db, "stops", row.job.text);
    if (grace != kOwnGrace) row.grace_ms = static_cast<std::uint64_t>(grace);
    return row;
  };
  return query(db, read,
               "SELECT stops.* FROM stops JOIN jobs ON jobs.id = stops.job WHERE jobs.ended = 0");
}

void put_stop(Database& db, const StopRow& row) {
  const std::int64_t grace = row.grace_ms ? static_cast<std::int64_t>(*row.grace_ms) : kOwnGrace;
  run(db, "INSERT OR REPLACE INTO stops VALUES (?,?,?)", row.job.text, grace,
      row_sum(row.job.text, grace));
}

void remove_stop(Database& db, const JobId& job) {
  run(db, "DELETE FROM stops WHERE job = ?", job.text);
}

}  // namespace rexec::store
