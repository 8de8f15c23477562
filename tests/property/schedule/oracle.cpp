#include "tests/property/schedule/oracle.hpp"

#include <stdlib.h>
#include <time.h>

#include <algorithm>

namespace oracle {
namespace {

Shown shown_at(std::int64_t local_minute) {
  const time_t seconds = local_minute * 60;
  tm parts{};
  gmtime_r(&seconds, &parts);
  return {
      static_cast<std::int16_t>(parts.tm_year + 1900), static_cast<std::int8_t>(parts.tm_mon + 1),
      static_cast<std::int8_t>(parts.tm_mday),         static_cast<std::int8_t>(parts.tm_hour),
      static_cast<std::int8_t>(parts.tm_min),          static_cast<std::int8_t>(parts.tm_wday)};
}

bool has(const std::vector<int>& values, int value) {
  return values.empty() || std::find(values.begin(), values.end(), value) != values.end();
}

std::string listed(const std::vector<int>& values) {
  std::string out;
  for (const int value : values) out += (out.empty() ? "" : ",") + std::to_string(value);
  return out.empty() ? "*" : out;
}

}  // namespace

bool Fields::match(const Shown& shown) const {
  if (!has(minutes, shown.minute) || !has(hours, shown.hour) || !has(months, shown.month))
    return false;
  if (hours.empty() && shown.hour % hour_step != 0) return false;
  const bool by_day = has(days, shown.day);
  const bool by_weekday = has(weekdays, shown.weekday);
  if (!days.empty() && !weekdays.empty()) return by_day || by_weekday;
  return by_day && by_weekday;
}

std::string Fields::text() const {
  const std::string step = hours.empty() && hour_step > 1 ? "/" + std::to_string(hour_step) : "";
  return listed(minutes) + " " + listed(hours) + step + " " + listed(days) + " " + listed(months) +
         " " + listed(weekdays);
}

Clock::Clock(const std::string& zone) {
  setenv("TZ", (":" + zone).c_str(), 1);
  tzset();
  offsets_.reserve(static_cast<std::size_t>((kEnd - kBegin) / 60));
  for (time_t at = kBegin; at < kEnd; at += 60) {
    tm parts{};
    localtime_r(&at, &parts);
    offsets_.push_back(static_cast<std::int16_t>(parts.tm_gmtoff / 60));
  }
}

std::vector<std::int64_t> Clock::firings(const Fields& fields, std::int64_t from,
                                         std::int64_t until) const {
  std::vector<std::int64_t> out;
  const auto local = [this](std::int64_t minute) {
    return minute + offsets_[static_cast<std::size_t>(minute - kBegin / 60)];
  };
  // The latest time the clock has shown; what it shows again counts for "*" in the hour alone, and
  // what it jumps over counts when it lands. Begins two days early, because the clock may have been
  // put back.
  std::int64_t first = std::max(kBegin / 60, from / 60 - 2 * 24 * 60);
  std::int64_t seen = local(first) - 1;
  for (std::int64_t minute = first; minute < until / 60; ++minute) {
    const bool is_again = seen >= local(minute);
    bool fires = is_again && fields.hours.empty() && minute * 60 >= from &&
                 fields.match(shown_at(local(minute)));
    for (; seen < local(minute); ++seen)
      fires = (minute * 60 >= from && fields.match(shown_at(seen + 1))) || fires;
    if (fires) out.push_back(minute * 60);
  }
  return out;
}

}  // namespace oracle
