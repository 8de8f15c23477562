// Where net keeps its schedules: in `net/schedules.d`, for each a file with what the controller
// sent, and beside it one, `.state`, with how far it has come, which is small because it changes
// with each firing. One schedule costs its own files only, however many there are. None is synced
// (net never waits for the disk): rename keeps them whole, and a state that power loss sets back
// fires nothing twice, because each job's directory is claimed once.
#pragma once

#include <string>

#include "src/agent/schedule_codec.hpp"

namespace rexec::agent {

struct ScheduleFiles {
  std::map<std::string, ScheduleDefinition> definitions;  // by id
  std::map<std::string, ScheduleProgress> progress;       // of held ones and of some that were
};

// What is there and readable; the rest is logged. What an earlier version kept in two files is
// taken over.
ScheduleFiles load_schedules(const std::string& data_dir);
Result<void> save_definition(const std::string& data_dir, const ScheduleDefinition& definition);
Result<void> save_progress(const std::string& data_dir, const std::string& id,
                           const ScheduleProgress& progress);
void remove_definition(const std::string& data_dir, const std::string& id);
void remove_progress(const std::string& data_dir, const std::string& id);

}  // namespace rexec::agent
