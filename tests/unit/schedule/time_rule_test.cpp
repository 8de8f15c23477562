// Rules in zones: gaps, folds, every, at.
#include "src/schedule/time_rule.hpp"

#include <doctest/doctest.h>

using namespace rexec;
using namespace rexec::schedule;
using namespace std::chrono;

static WallTime utc(int y, unsigned mo, unsigned d, int h = 0, int mi = 0, int s = 0) {
  return sys_days(year{y} / month{mo} / day{d}) + hours{h} + minutes{mi} + seconds{s};
}

static TimeRule rule(RuleKind kind, const char* text, const char* zone, WallTime anchor = {}) {
  ZoneFiles files;
  auto made = TimeRule::make({kind, text, zone, anchor}, files);
  REQUIRE(made);
  return *made;
}

TEST_CASE("rule: a time inside the gap fires once, at its end") {
  // Rome, 2026-03-29: 02:00 becomes 03:00 at 01:00 UTC.
  const auto nightly = rule(RuleKind::kCron, "30 2 * * *", "Europe/Rome");
  CHECK(nightly.next(utc(2026, 3, 28, 12)) == utc(2026, 3, 29, 1));
  CHECK(nightly.next(utc(2026, 3, 29, 1)) == utc(2026, 3, 30, 0, 30));
  CHECK(nightly.shown(utc(2026, 3, 29, 1)) == "2026-03-29 03:00:00 +0200");
}

TEST_CASE("rule: several times inside the gap, and one at its end, are one firing") {
  const auto often = rule(RuleKind::kCron, "*/20 * * * *", "Europe/Rome");
  CHECK(often.next(utc(2026, 3, 29, 0, 40)) == utc(2026, 3, 29, 1));
  CHECK(often.next(utc(2026, 3, 29, 1)) == utc(2026, 3, 29, 1, 20));
}

TEST_CASE("rule: a time that comes twice fires the first time only") {
  // Rome, 2026-10-25: 03:00 becomes 02:00 at 01:00 UTC.
  const auto nightly = rule(RuleKind::kCron, "30 2 * * *", "Europe/Rome");
  CHECK(nightly.next(utc(2026, 10, 24, 12)) == utc(2026, 10, 25, 0, 30));
  CHECK(nightly.next(utc(2026, 10, 25, 0, 30)) == utc(2026, 10, 26, 1, 30));
  // A list and a range of hours are fixed times too, all of them as well.
  for (const char* text : {"*/20 0-23 * * *", "*/20 1,2,3 * * *", "* 2 * * *"}) {
    CAPTURE(text);
    const auto fixed = rule(RuleKind::kCron, text, "Europe/Rome");
    CHECK(fixed.next(utc(2026, 10, 25, 0, 59)) > utc(2026, 10, 25, 1, 59));
    CHECK(fixed.next(utc(2026, 10, 25, 1, 30)) > utc(2026, 10, 25, 1, 59));
  }
}

TEST_CASE("rule: a rule with a star in the hour runs through the hour that comes twice") {
  // Rome, 2026-10-25: 03:00 becomes 02:00 at 01:00 UTC.
  const auto often = rule(RuleKind::kCron, "*/20 * * * *", "Europe/Rome");
  WallTime at = utc(2026, 10, 24, 23, 40);
  for (int count = 0; count < 12; ++count) {
    CHECK(often.next(at) == at + 20min);
    at += 20min;
  }
  CHECK(often.shown(utc(2026, 10, 25, 0, 20)) == "2026-10-25 02:20:00 +0200");
  CHECK(often.shown(utc(2026, 10, 25, 1, 20)) == "2026-10-25 02:20:00 +0100");
  for (const char* text : {"30 */2 * * *", "30 1,*/2 * * *", "@hourly"}) {
    CAPTURE(text);
    const auto hourly = rule(RuleKind::kCron, text, "Europe/Rome");
    const auto minutes = std::string(text) == "@hourly" ? 0min : 30min;
    CHECK(hourly.next(utc(2026, 10, 24, 23, 59)) == utc(2026, 10, 25, 0) + minutes);
    CHECK(hourly.next(utc(2026, 10, 25, 0, 30)) == utc(2026, 10, 25, 1) + minutes);
  }
  const auto rare = rule(RuleKind::kCron, "0 * 29 2 *", "Europe/Rome");
  CHECK(rare.next(utc(2026, 10, 25)) == utc(2028, 2, 28, 23));
}

TEST_CASE("rule: a rule with a star in the hour fires at the end of a gap what the gap skipped") {
  // Rome, 2026-03-29: 02:00 becomes 03:00 at 01:00 UTC.
  const auto halves = rule(RuleKind::kCron, "30 * * * *", "Europe/Rome");
  CHECK(halves.next(utc(2026, 3, 29, 0, 30)) == utc(2026, 3, 29, 1));
  CHECK(halves.next(utc(2026, 3, 29, 1)) == utc(2026, 3, 29, 1, 30));
}

TEST_CASE("rule: Lord Howe's gap and fold are half an hour") {
  // 2026-10-04: 02:00 becomes 02:30 at 15:30 UTC the day before; 2026-04-05: 02:00 becomes 01:30.
  const auto nightly = rule(RuleKind::kCron, "15 2 * * *", "Australia/Lord_Howe");
  CHECK(nightly.next(utc(2026, 10, 3, 0)) == utc(2026, 10, 3, 15, 30));
  const auto folded = rule(RuleKind::kCron, "45 1 * * *", "Australia/Lord_Howe");
  CHECK(folded.next(utc(2026, 4, 4, 0)) == utc(2026, 4, 4, 14, 45));
  CHECK(folded.next(utc(2026, 4, 4, 14, 45)) == utc(2026, 4, 5, 15, 15));
}

TEST_CASE("rule: a day that a zone skipped fires at its end") {
  // Samoa had no 2011-12-30.
  const auto daily = rule(RuleKind::kCron, "0 12 30 12 *", "Pacific/Apia");
  CHECK(daily.next(utc(2011, 12, 1)) == utc(2011, 12, 30, 10));
  CHECK(daily.shown(utc(2011, 12, 30, 10)) == "2011-12-31 00:00:00 +1400");
}

TEST_CASE("rule: every counts from the anchor in whole periods, whatever the clocks show") {
  const WallTime anchor = utc(2026, 3, 29, 0, 55, 7) + 123ms;
  const auto every = rule(RuleKind::kEvery, "10m", "Europe/Rome", anchor);
  CHECK(every.next(utc(2020, 1, 1)) == utc(2026, 3, 29, 1, 5, 7));
  CHECK(every.next(utc(2026, 3, 29, 1, 5, 6)) == utc(2026, 3, 29, 1, 5, 7));
  CHECK(every.next(utc(2026, 3, 29, 1, 5, 7)) == utc(2026, 3, 29, 1, 15, 7));
}

TEST_CASE("rule: at fires once; in the gap at its end, in the fold the first time, with Z in UTC") {
  CHECK(rule(RuleKind::kAt, "2027-01-01T03:00", "Europe/Rome").next(utc(2026, 1, 1)) ==
        utc(2027, 1, 1, 2));
  const auto gap = rule(RuleKind::kAt, "2026-03-29 02:30", "Europe/Rome");
  CHECK(gap.next(utc(2026, 1, 1)) == utc(2026, 3, 29, 1));
  CHECK(gap.next(utc(2026, 3, 29, 1)) == std::nullopt);
  CHECK(rule(RuleKind::kAt, "2026-10-25T02:30", "Europe/Rome").next(utc(2026, 1, 1)) ==
        utc(2026, 10, 25, 0, 30));
  CHECK(rule(RuleKind::kAt, "2026-10-25T02:30:59Z", "Europe/Rome").next(utc(2026, 1, 1)) ==
        utc(2026, 10, 25, 2, 30, 59));
}

TEST_CASE("rule: an instant from anywhere is answered, none beyond the calendar") {
  for (const char* zone : {"UTC", "Europe/Rome"}) {
    for (const WallTime far : {WallTime::min(), WallTime{Millis{-1}}, WallTime{}}) {
      CHECK(rule(RuleKind::kCron, "0 0 1 1 *", zone).next(far));
      CHECK(rule(RuleKind::kEvery, "1s", zone).next(far));
    }
    for (const WallTime far : {WallTime::max(), utc(9999, 1, 1), utc(20000, 1, 1)}) {
      CHECK_FALSE(rule(RuleKind::kCron, "* * * * *", zone).next(far));
      CHECK_FALSE(rule(RuleKind::kEvery, "1s", zone).next(far));
    }
    CHECK(rule(RuleKind::kCron, "0 0 29 2 *", zone).next(utc(9990, 1, 1)));
    CHECK_FALSE(rule(RuleKind::kCron, "0 0 29 2 *", zone).next(utc(9998, 1, 1)));
    CHECK_FALSE(rule(RuleKind::kEvery, "1w", zone, utc(9998, 12, 31)).next(utc(9998, 12, 31)));
  }
}

TEST_CASE("rule: text that is no rule is refused") {
  ZoneFiles files;
  const struct {
    RuleKind kind;
    const char* text;
  } rows[] = {{RuleKind::kAt, ""},
              {RuleKind::kAt, "2027-02-29T03:00"},
              {RuleKind::kAt, "2027-01-01"},
              {RuleKind::kAt, "2027-01-01T24:00"},
              {RuleKind::kAt, "1969-01-01T00:00"},
              {RuleKind::kAt, "2027-01-01T03:00+02:00"},
              {RuleKind::kAt, "2027_01-01T03:00"},
              {RuleKind::kAt, "9999-10-05T02:00"},
              {RuleKind::kEvery, "0"},
              {RuleKind::kEvery, "500ms"},
              {RuleKind::kEvery, "1.5s"},
              {RuleKind::kEvery, "ten"},
              {RuleKind::kCron, "x"}};
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const auto made = TimeRule::make({row.kind, row.text, "UTC", {}}, files);
    REQUIRE_FALSE(made);
    CHECK(made.error().code == Code::kUsage);
  }
  CHECK_FALSE(TimeRule::make({RuleKind::kCron, "* * * * *", "Mars/Base", {}}, files));
}
