// The slow and plain truth that the rules are compared with: every minute of the years 2000 to 2040
// as the C library's clock shows it in a zone. It shares no code with src/schedule.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace oracle {

inline constexpr std::int64_t kBegin = 946'684'800;  // 2000-01-01T00:00Z
inline constexpr std::int64_t kEnd = 2'240'611'200;  // 2041-01-01T00:00Z

// One minute on a wall clock.
struct Shown {
  std::int16_t year;
  std::int8_t month, day, hour, minute, weekday;
};

// A cron expression as plain lists of values; empty means "*".
struct Fields {
  std::vector<int> minutes, hours, days, months, weekdays;
  int hour_step = 1;  // of "*" in the hour, when `hours` is empty
  bool match(const Shown& shown) const;
  std::string text() const;
};

class Clock {
 public:
  explicit Clock(const std::string& zone);
  // UTC seconds of all firings in [from, until), both whole minutes within kBegin and kEnd.
  std::vector<std::int64_t> firings(const Fields& fields, std::int64_t from,
                                    std::int64_t until) const;

 private:
  std::vector<std::int16_t> offsets_;  // minutes east of UTC, for each minute from kBegin on
};

}  // namespace oracle
