// Two clocks. BootTime only moves forward, also while suspended, and drives every timer; WallTime
// is for people, certificates and records. Pure code is handed its `now`; only shells read these.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "src/base/error.hpp"

namespace rexec {

using Millis = std::chrono::milliseconds;
using Nanos = std::chrono::nanoseconds;

struct BootClock {  // CLOCK_BOOTTIME
  using duration = Nanos;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;
  static time_point now() noexcept;
};
using BootTime = BootClock::time_point;
using WallTime = std::chrono::sys_time<Millis>;

WallTime wall_now();
// 2026-11-21T01:02:03.456Z
std::string to_iso8601(WallTime time);
// "90" (seconds), "1.5s", "250ms", "10m", "2h", "3d", "1w", sums such as "1h30m". Empty, negative
// and other text, and more than 10 years, are refused with kUsage; the message names `what`.
Result<Millis> parse_duration(std::string_view what, std::string_view text);
// "1.5s", "10m", "2h 5m": at most two units.
std::string format_duration(Millis duration);

}  // namespace rexec
