// From a rule to single firings: the next ones, those that were missed, the delay of each, and what
// is done with several that are due at once. Pure functions of values. A firing is named by its
// nominal instant; jitter delays it and does not rename it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "src/base/clock.hpp"
#include "src/base/ids.hpp"
#include "src/schedule/time_rule.hpp"

namespace rexec::schedule {

// What a node holds, so long it fires alone.
inline constexpr std::size_t kHeldFirings = 32;
// The most that are caught up after an outage.
inline constexpr std::size_t kMaxCaughtUp = 32;
// Later than that a firing is a missed one.
inline constexpr Millis kOnTime = std::chrono::seconds(60);
inline constexpr Millis kMaxJitter = std::chrono::hours(24);

enum class CatchUp { kNone, kLast, kAll };
std::string_view catch_up_name(CatchUp kind);  // "none", "last", "all"
std::optional<CatchUp> catch_up(std::string_view name);

// The next `count` after `after`; fewer when the rule ends.
std::vector<WallTime> upcoming(const TimeRule& rule, WallTime after, std::size_t count);
// The newest `count` with after < nominal <= until, oldest first.
std::vector<WallTime> missed(const TimeRule& rule, WallTime after, WallTime until,
                             std::size_t count);
// The shortest time between two of them; none for fewer than two.
std::optional<Millis> shortest_gap(std::span<const WallTime> firings);

// 0 to `most`, in milliseconds: the same for the same firing on the same node, today and after any
// restart, and spread evenly over nodes and firings.
Millis jitter_of(std::string_view schedule, WallTime nominal, const NodeId& node, Millis most);

enum class Verdict {
  kOnTime,
  kLate,    // missed, and caught up
  kMissed,  // missed, and not caught up: skipped
};
struct Now {
  WallTime time;
  WallTime up_since{};  // the node was not up before; what was due by then it has missed
};
// One verdict for each of the times at which firings were due, all <= now, in order. Only the
// newest can be on time; a later one being due makes an earlier one a missed one. What is caught up
// is never on time, however young: on time it would be skipped for meeting the ones before it.
std::vector<Verdict> judge_due(std::span<const WallTime> due, Now now, CatchUp kind);

}  // namespace rexec::schedule
