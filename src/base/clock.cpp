// Reading the clocks, and durations and instants as text. No locale, no time zone: people's local
// time is cli/line/listing's business.
#include "src/base/clock.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <ctime>

#include "src/base/text.hpp"

namespace rexec {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t millis;
};

constexpr std::array<Unit, 6> kUnits{{
    {"w", 7LL * 24 * 3600 * 1000},
    {"d", 24LL * 3600 * 1000},
    {"h", 3600LL * 1000},
    {"m", 60LL * 1000},
    {"s", 1000},
    {"ms", 1},
}};
// A longer wait is a slip of the finger, and 10 years in nanoseconds still fit 64 bits.
constexpr std::int64_t kLongest = 3653LL * 24 * 3600 * 1000;

// Four digits of a year are all that the form has: a time outside of them is shown as the nearest.
constexpr WallTime kFirstShown = std::chrono::sys_days(std::chrono::year{0} / 1 / 1);
constexpr WallTime kLastShown =
    std::chrono::sys_days(std::chrono::year{9999} / 12 / 31) + Millis{24LL * 3600 * 1000 - 1};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Takes "12.5" off the front, in thousandths; -1 when there is none or it is too large.
std::int64_t take_number(std::string_view& text) {
  std::int64_t value = 0;
  std::size_t i = 0;
  for (; i < text.size() && is_digit(text[i]); ++i) {
    value = value * 10 + (text[i] - '0');
    if (value > kLongest) return -1;
  }
  if (i == 0) return -1;
  value *= 1000;
  if (i < text.size() && text[i] == '.') {
    std::int64_t place = 100;
    const std::size_t dot = i;
    for (++i; i < text.size() && is_digit(text[i]); ++i, place /= 10) {
      value += place * (text[i] - '0');
    }
    if (i == dot + 1) return -1;
  }
  text.remove_prefix(i);
  return value;
}

// The unit at the front, or nullptr.
const Unit* take_unit(std::string_view& text) {
  std::size_t length = 0;
  while (length < text.size() && text[length] >= 'a' && text[length] <= 'z') ++length;
  for (const Unit& unit : kUnits) {
    if (unit.name != text.substr(0, length)) continue;
    text.remove_prefix(length);
    return &unit;
  }
  return nullptr;
}

// Milliseconds, or -1. Each unit may follow larger ones only, so "30m1h" is refused.
std::int64_t duration_millis(std::string_view text) {
  std::int64_t total = 0;
  std::int64_t last = INT64_MAX;
  const bool whole = text.find_first_not_of("0123456789.") == std::string_view::npos;
  while (true) {
    const std::int64_t number = take_number(text);
    if (number < 0) return -1;
    if (text.empty() && whole) return number;  // seconds in thousandths are milliseconds
    const Unit* unit = take_unit(text);
    if (unit == nullptr || unit->millis >= last) return -1;
    last = unit->millis;
    if (number / 1000 > kLongest / unit->millis) return -1;
    total += (number / 1000) * unit->millis + (number % 1000) * unit->millis / 1000;
    if (total > kLongest) return -1;
    if (text.empty()) return total;
  }
}

std::int64_t read_clock(clockid_t which) {
  timespec now{};
  ::clock_gettime(which, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

BootClock::time_point BootClock::now() noexcept {
  return time_point(Nanos(read_clock(CLOCK_BOOTTIME)));
}

WallTime wall_now() { return WallTime(Millis(read_clock(CLOCK_REALTIME) / 1'000'000)); }

std::string to_iso8601(WallTime time) {
  time = std::clamp(time, kFirstShown, kLastShown);
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const auto millis = (time - day).count();
  char text[48];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ",
                static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(millis / 3'600'000),
                static_cast<int>(millis / 60'000 % 60), static_cast<int>(millis / 1000 % 60),
                static_cast<int>(millis % 1000));
  return text;
}

Result<Millis> parse_duration(std::string_view what, std::string_view text) {
  const std::int64_t millis = duration_millis(text);
  if (millis >= 0 && millis <= kLongest) return Millis(millis);
  return fail(Code::kUsage,
              std::string(what) + ": \"" + printable(text.substr(0, 64)) + "\" is not a duration",
              "write 90 (seconds), 250ms, 1.5s, 10m, 2h, 3d, 1w or a sum such as 1h30m; "
              "10 years at most");
}

std::string format_duration(Millis duration) {
  const std::int64_t total = duration.count();
  // The least has no positive counterpart.
  if (total < 0) return "-" + format_duration(Millis{-std::max(total, -INT64_MAX)});
  char text[64];
  if (total < 1000) {
    std::snprintf(text, sizeof text, "%lldms", static_cast<long long>(total));
    return text;
  }
  if (total < 60'000) {
    const auto tenths = static_cast<long long>(total / 100);
    if (tenths % 10 == 0) {
      std::snprintf(text, sizeof text, "%llds", tenths / 10);
    } else {
      std::snprintf(text, sizeof text, "%lld.%llds", tenths / 10, tenths % 10);
    }
    return text;
  }
  for (std::size_t i = 1; i < 4; ++i) {  // days, hours, minutes
    if (total < kUnits[i].millis) continue;
    const auto large = static_cast<long long>(total / kUnits[i].millis);
    const auto small = static_cast<long long>(total % kUnits[i].millis / kUnits[i + 1].millis);
    std::string shown = std::to_string(large).append(kUnits[i].name);
    if (small > 0) shown.append(" ").append(std::to_string(small)).append(kUnits[i + 1].name);
    return shown;
  }
  return {};
}

}  // namespace rexec
