// The rule at the end of a tz database file: "CET-1CEST,M3.5.0,M10.5.0/3". It says how a zone's
// offset changes in years that the file's table does not list. Pure; part of zone.*.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>
#include <vector>

#include "src/base/error.hpp"

namespace rexec::schedule {

struct OffsetChange {
  std::chrono::sys_seconds at;
  std::chrono::seconds offset{0};  // from then on
};

// A day of each year and a time on it, which may lie up to a week outside it.
struct YearlyMoment {
  enum class Kind { kMonthWeekDay, kJulian, kDayOfYear };  // Mm.w.d · Jn without leap days · n
  Kind kind = Kind::kMonthWeekDay;
  unsigned month = 1;
  unsigned week = 1;  // 5 is the last
  unsigned day = 0;   // of the week, or n
  std::chrono::seconds time{7200};
};

struct ZoneRule {
  std::chrono::seconds standard{0};
  struct Summer {
    std::chrono::seconds offset{0};
    YearlyMoment begin;
    YearlyMoment end;
  };
  std::optional<Summer> summer;  // none: standard time always
};

// kUsage for anything but a POSIX TZ string with RFC 9636's extensions.
Result<ZoneRule> parse_zone_rule(std::string_view text);
// The changes of that year in order; none without summer time.
std::vector<OffsetChange> changes_of_year(const ZoneRule& rule, std::chrono::year year);

}  // namespace rexec::schedule
