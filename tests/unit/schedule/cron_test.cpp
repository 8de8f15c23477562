// Cron expressions: what they mean, what is refused and where the message points.
#include "src/schedule/cron.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace rexec;
using namespace rexec::schedule;
using namespace std::chrono;

static LocalTime local(int y, unsigned mo, unsigned d, int h, int mi, int s = 0) {
  return local_days(year{y} / month{mo} / day{d}) + hours{h} + minutes{mi} + seconds{s};
}

TEST_CASE("cron: the next local minute of each kind of field") {
  const struct {
    const char* text;
    LocalTime from;
    LocalTime next;
  } rows[] = {
      {"* * * * *", local(2026, 11, 21, 10, 0), local(2026, 11, 21, 10, 0)},
      {"* * * * *", local(2026, 11, 21, 10, 0, 1), local(2026, 11, 21, 10, 1)},
      {"30 2 * * *", local(2026, 11, 21, 2, 30, 1), local(2026, 11, 22, 2, 30)},
      {"*/15 * * * *", local(2026, 12, 31, 23, 46), local(2027, 1, 1, 0, 0)},
      {"5-40/10 * * * *", local(2026, 1, 1, 0, 36), local(2026, 1, 1, 1, 5)},
      {"1,59 3,4 * * *", local(2026, 1, 1, 3, 2), local(2026, 1, 1, 3, 59)},
      {"0 0 29 2 *", local(2026, 1, 1, 0, 0), local(2028, 2, 29, 0, 0)},
      {"0 0 29 2 *", local(2096, 3, 1, 0, 0), local(2104, 2, 29, 0, 0)},
      {"0 0 31 * *", local(2026, 4, 1, 0, 0), local(2026, 5, 31, 0, 0)},
      {"0 9 * * mon-fri", local(2026, 11, 21, 0, 0), local(2026, 11, 23, 9, 0)},
      {"0 9 * * 7", local(2026, 11, 21, 0, 0), local(2026, 11, 22, 9, 0)},
      {"0 9 * * SUN", local(2026, 11, 21, 0, 0), local(2026, 11, 22, 9, 0)},
      {"0 9 * * fri-sun", local(2026, 11, 22, 10, 0), local(2026, 11, 27, 9, 0)},
      {"0 0 1 jan *", local(2026, 1, 1, 0, 1), local(2027, 1, 1, 0, 0)},
      {"0 0 1 Jan,jul *", local(2026, 1, 2, 0, 0), local(2026, 7, 1, 0, 0)},
      {"@hourly", local(2026, 1, 1, 0, 1), local(2026, 1, 1, 1, 0)},
      {"@daily", local(2026, 1, 1, 0, 1), local(2026, 1, 2, 0, 0)},
      {"@weekly", local(2026, 11, 21, 0, 1), local(2026, 11, 22, 0, 0)},
      {"@monthly", local(2026, 1, 1, 0, 1), local(2026, 2, 1, 0, 0)},
      {"@yearly", local(2026, 1, 1, 0, 1), local(2027, 1, 1, 0, 0)},
      {"\t 0 0  1 1 * ", local(2026, 1, 1, 0, 1), local(2027, 1, 1, 0, 0)},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const auto cron = parse_cron(row.text);
    REQUIRE(cron);
    const auto next = next_local(*cron, row.from);
    REQUIRE(next);
    CHECK(next->time_since_epoch().count() == row.next.time_since_epoch().count());
  }
}

TEST_CASE("cron: a restricted day of month and a restricted weekday match either; a star both") {
  // 2026-11-13 is a Friday.
  const auto either = parse_cron("0 0 13 * fri");
  REQUIRE(either);
  CHECK(matches_day(*either, local_days(2026y / 11 / 13)));
  CHECK(matches_day(*either, local_days(2026y / 11 / 20)));
  CHECK(matches_day(*either, local_days(2026y / 10 / 13)));
  CHECK_FALSE(matches_day(*either, local_days(2026y / 11 / 14)));
  const auto both = parse_cron("0 0 */2 * fri");
  REQUIRE(both);
  CHECK(matches_day(*both, local_days(2026y / 11 / 13)));
  CHECK_FALSE(matches_day(*both, local_days(2026y / 11 / 20)));
  CHECK_FALSE(matches_day(*both, local_days(2026y / 11 / 15)));
}

TEST_CASE("cron: what is refused names the column and what was expected") {
  const struct {
    const char* text;
    const char* column;
    const char* expected;
  } rows[] = {
      {"", "column 1:", "expected a minute"},
      {"60 * * * *", "column 1:", "expected a minute 0-59, found \"60\""},
      {"0 24 * * *", "column 3:", "hour 0-23"},
      {"0 0 0 * *", "column 5:", "day of month 1-31"},
      {"0 0 32 * *", "column 5:", "day of month 1-31"},
      {"0 0 * 13 *", "column 7:", "month 1-12 or its name"},
      {"0 0 * foo *", "column 7:", "found \"foo\""},
      {"0 0 * * 8", "column 9:", "day of week 0-7 or its name"},
      {"0 0 * *", "column 8:", "expected a day of week"},
      {"0 0 * * * root", "column 11:", "the end after five fields"},
      {"5/15 * * * *", "column 2:", "a step needs a range"},
      {"*/0 * * * *", "column 3:", "expected a step"},
      {"*/99 * * * *", "column 3:", "expected a step"},
      {"1- * * * *", "column 3:", "expected a minute"},
      {"0 22-2 * * *", "column 3:", "write 22-23,0-2"},
      {"1,, * * * *", "column 3:", "expected a minute"},
      {"0 0 ? * *", "column 5:", "day of month"},
      {"-1 * * * *", "column 1:", "expected a minute"},
      {"1.5 * * * *", "column 2:", "expected \",\" or a blank"},
      {"99999999999 * * * *", "column 1:", "expected a minute"},
      {"\x1b[31m * * * *", "column 1:", "\\x1b"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const auto cron = parse_cron(row.text);
    REQUIRE_FALSE(cron);
    CHECK(cron.error().code == Code::kUsage);
    CAPTURE(cron.error().message);
    CHECK(cron.error().message.find(row.column) != std::string::npos);
    CHECK(cron.error().message.find(row.expected) != std::string::npos);
    CHECK(cron.error().message.find('\x1b') == std::string::npos);
  }
  CHECK_FALSE(parse_cron("@reboot"));
  CHECK(parse_cron(std::string(300, ' ') + "* * * * *").error().code == Code::kLimit);
}

TEST_CASE("cron: a day that no year has is refused, a rare one is not") {
  for (const char* text : {"0 0 31 2 *", "0 0 30 feb *", "0 0 31 4,6,9,11 *"}) {
    CAPTURE(text);
    const auto cron = parse_cron(text);
    REQUIRE_FALSE(cron);
    CHECK(cron.error().message.find("never happens") != std::string::npos);
  }
  CHECK(parse_cron("0 0 29 2 *"));
  CHECK(parse_cron("0 0 31 2 mon"));  // Mondays of February
  CHECK(parse_cron("0 0 31 2,3 *"));
}
