// See schedules.hpp.
#include "src/store/tables/schedules.hpp"

#include "src/store/database/sql.hpp"

namespace rexec::store {
namespace {

template <class Use>
auto with_values(const ScheduleRow& row, Use use) {
  return use(row.id, row.name, row.owner.text, row.owner_name, row.targets, row.kind, row.rule,
             row.zone, row.overlap, row.catch_up, row.jitter_ms, Blob{row.spec}, row.summary,
             row.created, row.since, row.revision,
             std::int64_t{row.state == ScheduleState::kPaused});
}

ScheduleRow read(Database& db, Run& from) {
  ScheduleRow row;
  row.id = from.text(0);
  row.name = from.text(1);
  row.owner.text = from.text(2);
  row.owner_name = from.text(3);
  row.targets = from.text(4);
  row.kind = from.text(5);
  row.rule = from.text(6);
  row.zone = from.text(7);
  row.overlap = from.text(8);
  row.catch_up = from.text(9);
  row.jitter_ms = from.integer(10);
  row.spec = from.text(11);
  row.summary = from.text(12);
  row.created = from.time(13);
  row.since = from.time(14);
  row.revision = from.integer(15);
  row.state = from.integer(16) == 1 ? ScheduleState::kPaused : ScheduleState::kActive;
  const auto sum = with_values(row, [](const auto&... values) { return row_sum(values...); });
  if (sum != from.integer(17)) reject_damaged_row(db, "schedules", row.id);
  return row;
}

std::vector<ScheduleRow> with_id(Database& db, const std::string& id) {
  return query(
      db, [&db](Run& from) { return read(db, from); }, "SELECT * FROM schedules WHERE id = ?", id);
}

void need(Database& db, const std::string& id) {
  if (with_id(db, id).empty())
    reject(Code::kUnknownObject, "no schedule " + id, "see: rexec schedule ls");
}

}  // namespace

std::vector<ScheduleRow> load_schedules(Database& db) {
  return query(
      db, [&db](Run& from) { return read(db, from); }, "SELECT * FROM schedules ORDER BY name");
}

void insert_schedule(Database& db, const ScheduleRow& row) {
  Run taken(db, "SELECT id FROM schedules WHERE name = ?", row.name);
  if (taken.step())
    reject(Code::kConflict, "there is a schedule \"" + row.name + "\"",
           "choose another name, or: rexec schedule rm " + row.name);
  with_values(row, [&](const auto&... values) {
    run(db, "INSERT INTO schedules VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", values...,
        row_sum(values...));
  });
}

void update_schedule(Database& db, const ScheduleRow& row) {
  need(db, row.id);
  with_values(row, [&](const auto&... values) {
    run(db, "INSERT OR REPLACE INTO schedules VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        values..., row_sum(values...));
  });
}

void remove_schedule(Database& db, const std::string& id) {
  need(db, id);
  run(db, "DELETE FROM schedules WHERE id = ?", id);
}

}  // namespace rexec::store
