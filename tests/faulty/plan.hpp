// What REXEC_FAIL asks for, read once at the start of a process:
//
//   REXEC_FAIL="store.committing=kill@3;shim.started.written=stop;store.sync=error:EIO"
//
//   POINT[/ROLE]=ACTION[:ARGUMENT][@N][+once], several separated by ";"
//   kill            SIGKILL to the own process             stop    SIGSTOP; the harness continues
//   it delay:MS        sleep, at each passing from N on       error:NAME   errno from the Nth call
//   on
//   @N              at the Nth passing in this process (1)
//   +once           never again in any process, by a mark in REXEC_FAIL_DIR; kill and stop always
//   are ROLE            client controller spawner net shim: whose passing counts
//
// REXEC_FAIL_DIR is where marks go: `reached.POINT` for each point that any process passed, and
// `fired.POINT` (pid and role) for each action taken. Used by fail_point_driven.cpp.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "src/base/fail_point.hpp"

namespace rexec::faulty {

enum class Action { kKill, kStop, kDelay, kError };

struct Order {
  FailPoint point{};
  std::string role;  // empty: any
  Action action = Action::kKill;
  int argument = 0;      // milliseconds, or an errno
  unsigned at = 1;       // the first passing that counts
  bool is_once = false;  // in all processes together
};

struct Point {
  const char* name;
  const char* meaning;
};

inline constexpr std::size_t kPoints = 0
#define REXEC_FAIL_COUNT(constant, name, meaning) +1
    REXEC_FAIL_POINTS(REXEC_FAIL_COUNT)
#undef REXEC_FAIL_COUNT
    ;

const Point& describe(std::size_t index);
// Ends the process with a message when the text cannot be read: a test that asks for nothing must
// not pass.
std::vector<Order> read_orders(const char* text);
// What this process is, from its name and arguments; a shim is known by its comm only once it is.
std::string role_of_process();

}  // namespace rexec::faulty
