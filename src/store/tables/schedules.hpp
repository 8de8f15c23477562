// The schedules table: what fires when, where, for whom. Rows are whole values; what each node made
// of its firings is the nodes' to tell and not kept here. The spec is in the row, because a
// schedule needs it as long as it is there.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/base/clock.hpp"
#include "src/base/ids.hpp"
#include "src/store/database/database.hpp"

namespace rexec::store {

enum class ScheduleState { kActive, kPaused };

struct ScheduleRow {
  std::string id;    // s-…, never used again
  std::string name;  // unique
  UserId owner;
  std::string owner_name;
  std::string targets;
  std::string kind;  // cron, every, at
  std::string rule;
  std::string zone;
  std::string overlap;
  std::string catch_up;
  std::int64_t jitter_ms = 0;
  std::string spec;     // encoded JobSpec
  std::string summary;  // the command for people
  WallTime created;
  WallTime since;             // nothing fires up to then: made, or resumed
  std::int64_t revision = 1;  // counts changes
  ScheduleState state = ScheduleState::kActive;
};

std::vector<ScheduleRow> load_schedules(Database& db);
// Rejects with kConflict when the name is taken.
void insert_schedule(Database& db, const ScheduleRow& row);
// The whole row. Rejects with kUnknownObject.
void update_schedule(Database& db, const ScheduleRow& row);
// Rejects with kUnknownObject.
void remove_schedule(Database& db, const std::string& id);

}  // namespace rexec::store
