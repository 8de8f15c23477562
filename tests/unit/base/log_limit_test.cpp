// How often a line that others cause is logged.
#include "src/base/log_limit.hpp"

#include <doctest/doctest.h>

using namespace rexec;

TEST_CASE("log_limit: a few lines at once, then one a minute that counts those left out") {
  LogLimit limit;
  BootTime now{std::chrono::hours(3)};
  for (std::uint64_t i = 0; i < LogLimit::kAtOnce; ++i) CHECK(limit.admit(now) == 0);
  for (int i = 0; i < 1000; ++i) CHECK_FALSE(limit.admit(now));
  now += LogLimit::kOneIn;
  CHECK(limit.admit(now) == 1000);
  CHECK_FALSE(limit.admit(now));
  now += 100 * LogLimit::kOneIn;  // no more than at first, however quiet it was
  CHECK(limit.admit(now) == 1);
  for (std::uint64_t i = 1; i < LogLimit::kAtOnce; ++i) CHECK(limit.admit(now) == 0);
  CHECK_FALSE(limit.admit(now));
}
