#include "src/store/audit/history.hpp"

#include "src/store/database/sql.hpp"

namespace rexec::store {
namespace {

struct RunRow {
  std::int64_t started = 0;
  std::int64_t commits = 0;
};

std::optional<RunRow> find_run(Database& db, const std::string& id) {
  Run row(db, "SELECT started, commits, sum FROM runs WHERE id = ?", id);
  if (!row.step()) return std::nullopt;
  const RunRow found{row.integer(0), row.integer(1)};
  if (row_sum(id, found.started, found.commits) != row.integer(2))
    reject_damaged_row(db, "runs", id);
  return found;
}

void put_run(Database& db, const std::string& id, const RunRow& row) {
  run(db, "INSERT OR REPLACE INTO runs VALUES (?,?,?,?)", id, row.started, row.commits,
      row_sum(id, row.started, row.commits));
}

// A time before 1970: no run began then.
constexpr std::int64_t kAccepted = -1;

bool is_accepted(const RunRow& row) { return row.started < 0; }

}  // namespace

void begin_run(Database& db, const std::string& id, WallTime now) {
  put_run(db, id, {to_ms(now), 0});
}

void accept_run(Database& db, const std::string& id, WallTime now) {
  RunRow row = find_run(db, id).value_or(RunRow{to_ms(now), 0});
  if (!is_accepted(row)) row.started = kAccepted - row.started;
  put_run(db, id, row);
}

void count_commit(Database& db, const std::string& id) {
  auto row = find_run(db, id);
  if (!row) return;
  ++row->commits;
  put_run(db, id, *row);
}

std::string contradiction(Database& db, const Seen& seen) {
  if (seen.run.empty()) return {};
  const auto known = find_run(db, seen.run);
  if (!known) return "it saw a run of the controller that is not in it, " + seen.run;
  if (is_accepted(*known)) return {};
  if (seen.commits > static_cast<std::uint64_t>(known->commits))
    return "it saw " + std::to_string(seen.commits) + " commits of the run " + seen.run +
           ", here are " + std::to_string(known->commits);
  if (seen.audit.seq == 0) return {};
  const auto hash = query_one(
      db, [](Run& row) { return row.text(0); }, "SELECT hash FROM audit WHERE seq = ?",
      seen.audit.seq);
  if (!hash) return "it saw audit row " + std::to_string(seen.audit.seq) + ", which is not here";
  if (*hash != seen.audit.hash) return "it saw another audit row " + std::to_string(seen.audit.seq);
  return {};
}

}  // namespace rexec::store
