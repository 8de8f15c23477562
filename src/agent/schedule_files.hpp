// Where net keeps its schedules: `net/schedules`, what the controller sent, and
// `net/schedules.state`, how far each has come, which is small because it changes with each firing.
// Neither is synced (net never waits for the disk): rename keeps them whole, and a state that power
// loss sets back fires nothing twice, because each job's directory is claimed once.
#pragma once

#include <string>

#include "src/agent/schedule_codec.hpp"

namespace rexec::agent {

struct ScheduleFiles {
  std::map<std::string, ScheduleDefinition> definitions;  // by id
  std::map<std::string, ScheduleProgress> progress;       // of held ones and of some that were
};

// What is there and readable; the rest is logged.
ScheduleFiles load_schedules(const std::string& data_dir);
Result<void> save_definitions(const std::string& data_dir, const wire::Map& list);
Result<void> save_progress(const std::string& data_dir, const wire::Map& by_id);

}  // namespace rexec::agent
