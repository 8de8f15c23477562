// What is said of one job: seldom when it comes without end.
#include "cli/run/notice_limit.hpp"

#include <doctest/doctest.h>

using namespace rexec;
using namespace rexec::cli;

namespace {

BootTime at(std::int64_t ms) { return BootTime{} + Millis{1'000'000 + ms}; }

}  // namespace

TEST_CASE("notice_limit: of a flood the first are said and the others counted") {
  NoticeLimit limit;
  int said = 0;
  for (int i = 0; i < 3'000; ++i) said += limit.admit(at(0)) ? 1 : 0;
  CHECK(said == 20);
  CHECK(limit.take_left_out() == 2'980);
  CHECK(limit.take_left_out() == 0);
  CHECK(limit.admit(at(500)));
  CHECK_FALSE(limit.admit(at(501)));
}

TEST_CASE("notice_limit: a job that is restarted as soon as it can be has each attempt told") {
  NoticeLimit limit;
  for (std::int64_t i = 0; i < 10'000; ++i) CHECK(limit.admit(at(i * 900)));
  CHECK(limit.take_left_out() == 0);
}
