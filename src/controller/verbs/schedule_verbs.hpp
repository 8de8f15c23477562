// The requests about schedules that a person's session may make. What they do to nodes is
// schedules.*; changes answer after their commit, which carries the audit row.
#pragma once

#include <functional>
#include <string>

#include "src/controller/state/hub.hpp"

namespace rexec::controller {

// Whose session it is.
struct Caller {
  UserId user;
  std::string name;
  std::string actor;  // for the audit log
};
using Answer = std::function<void(const Result<wire::Map>&)>;
using ScheduleVerb = void (*)(Hub& hub, const Caller& caller, const wire::Map& args,
                              const Answer& respond);
// nullptr when there is none of that name.
ScheduleVerb find_schedule_verb(const std::string& name);

}  // namespace rexec::controller
