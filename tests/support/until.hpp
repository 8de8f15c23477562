// The one place where a C++ test looks again and again: for conditions that come without an event
// of their own (a directory that another process empties, a cgroup that drains). Bounded; false
// when the condition did not come.
#pragma once

#include <poll.h>

#include <chrono>

namespace rexec::test {

template <class Condition>
bool until(Condition condition, std::chrono::milliseconds limit = std::chrono::seconds(60)) {
  const auto give_up = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= give_up) return condition();
    ::poll(nullptr, 0, 1);
  }
  return true;
}

}  // namespace rexec::test
