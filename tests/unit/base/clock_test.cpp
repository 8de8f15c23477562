// Durations and instants as text; both clocks.
#include "src/base/clock.hpp"

#include <doctest/doctest.h>

using namespace rexec;
using namespace std::chrono_literals;

TEST_CASE("clock: durations as people write them") {
  const struct {
    const char* text;
    Millis expected;
  } rows[] = {{"90", 90s},
              {"0", 0s},
              {"1.5s", 1500ms},
              {"250ms", 250ms},
              {"10m", 10min},
              {"2h", 2h},
              {"3d", 72h},
              {"1w", 168h},
              {"1h30m", 90min},
              {"0.5", 500ms},
              {"1m0.25s", 60250ms},
              {"1.0001s", 1s},
              {"1d2h3m4s5ms", 26h + 3min + 4s + 5ms}};
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const Result<Millis> parsed = parse_duration("--timeout", row.text);
    REQUIRE(parsed);
    CHECK(*parsed == row.expected);
  }
}

TEST_CASE("clock: other text is refused, and the message names the flag") {
  for (const char* text :
       {"", " ", "-1", "-5s", "s", "1x", "1 h", "1h 30m", "30m1h", "1h1h", "1.s", ".5s", "1..5s",
        "11d1w", "5h3", "99999999999999999999", "4000d", "1e3", "\x1b[31m"}) {
    CAPTURE(text);
    const Result<Millis> parsed = parse_duration("--timeout", text);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == Code::kUsage);
    CHECK(parsed.error().message.starts_with("--timeout: "));
    CHECK(parsed.error().message.find('\x1b') == std::string::npos);
  }
}

TEST_CASE("clock: durations are shown in at most two units") {
  CHECK(format_duration(0ms) == "0ms");
  CHECK(format_duration(999ms) == "999ms");
  CHECK(format_duration(1s) == "1s");
  CHECK(format_duration(1500ms) == "1.5s");
  CHECK(format_duration(10min) == "10m");
  CHECK(format_duration(2h + 5min + 9s) == "2h 5m");
  CHECK(format_duration(2h + 9s) == "2h");
  CHECK(format_duration(49h) == "2d 1h");
  CHECK(format_duration(-1s) == "-1s");
}

TEST_CASE("clock: instants are shown in UTC with milliseconds") {
  CHECK(to_iso8601(WallTime(0ms)) == "1970-01-01T00:00:00.000Z");
  CHECK(to_iso8601(WallTime(1795223523456ms)) == "2026-11-21T01:12:03.456Z");
  CHECK(to_iso8601(WallTime(-1ms)) == "1969-12-31T23:59:59.999Z");
}

TEST_CASE("clock: boot time never goes back and wall time is after this was written") {
  BootTime last = BootClock::now();
  for (int i = 0; i < 1000; ++i) {
    const BootTime now = BootClock::now();
    CHECK(now >= last);
    last = now;
  }
  CHECK(wall_now() > WallTime(1700000000000ms));
}

TEST_CASE("clock: every number is shown as a duration and as an instant, whoever chose it") {
  CHECK(format_duration(Millis::min()).starts_with("-"));
  CHECK(format_duration(Millis::max()).ends_with("h"));
  CHECK(to_iso8601(WallTime{Millis::max()}) == "9999-12-31T23:59:59.999Z");
  CHECK(to_iso8601(WallTime{Millis::min()}) == "0000-01-01T00:00:00.000Z");
}
