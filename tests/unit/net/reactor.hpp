// Runs an io_context until something is so; a test that waits in vain fails after 10 s.
#pragma once

#include <doctest/doctest.h>

#include "src/net/session_driver.hpp"
#include "src/net/task.hpp"

namespace rexec::net::test {

template <class Condition>
void run_until(asio::io_context& context, Condition condition) {
  const BootTime give_up = BootClock::now() + std::chrono::seconds(10);
  while (!condition()) {
    REQUIRE(BootClock::now() < give_up);
    context.restart();
    context.run_one_for(std::chrono::milliseconds(50));
  }
}

}  // namespace rexec::net::test
