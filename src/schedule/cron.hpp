// A cron expression: five fields of local time, as in Vixie cron. Pure: text to sets, and the next
// local minute in them. It knows no zone and no UTC (time_rule.* does), and no seconds.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "src/base/error.hpp"

namespace rexec::schedule {

// Wall clock time of some zone: what a person reads off the clock there.
using LocalTime = std::chrono::local_seconds;

inline constexpr std::size_t kMaxCron = 256;

// One bit for each value that matches.
struct Cron {
  std::uint64_t minutes = 0;   // 0-59
  std::uint32_t hours = 0;     // 0-23
  std::uint32_t days = 0;      // 1-31
  std::uint32_t months = 0;    // 1-12
  std::uint32_t weekdays = 0;  // 0-6, Sunday is 0
  // The field begins with "*". When neither does, a day matches by either of them (Vixie's rule);
  // otherwise by both.
  bool any_day = false;
  bool any_weekday = false;
  // The hour contains "*": the rule is for an interval of time and not for hours of the clock.
  bool any_hour = false;
  bool operator==(const Cron&) const = default;
};

// "30 2 * * *": minute, hour, day of month, month, day of week; "*", ranges "1-5", steps "*/15" and
// "10-40/10", lists "1,15", names "jan", "mon", Sunday as 0 or 7; and @hourly, @daily, @midnight,
// @weekly, @monthly, @yearly, @annually. kUsage names the column and what was expected there. What
// can never happen (the 31st of February) is refused.
Result<Cron> parse_cron(std::string_view text);
bool matches_day(const Cron& cron, std::chrono::local_days day);
// The first matching minute at or after `from`; none only far outside the calendar (year 9999).
std::optional<LocalTime> next_local(const Cron& cron, LocalTime from);

}  // namespace rexec::schedule
