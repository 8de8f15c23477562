// When a schedule fires: cron | every | at, in a zone. Pure: the next nominal instant after a given
// one. Catch-up, jitter and overlap are firing.* and overlap.*.
//
// A local time that a change to summer time skips fires once, at the end of the gap, together with
// whatever is due there anyway. One that a change back shows twice fires the first time only,
// unless the rule's hour contains "*": that one is for an interval of time, and has no silent hour.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "src/base/clock.hpp"
#include "src/schedule/cron.hpp"
#include "src/schedule/zone_files.hpp"

namespace rexec::schedule {

enum class RuleKind { kCron, kEvery, kAt };
std::string_view rule_kind_name(RuleKind kind);  // "cron", "every", "at"
std::optional<RuleKind> rule_kind(std::string_view name);

// A rule as people write it and the store keeps it.
struct RuleText {
  RuleKind kind = RuleKind::kCron;
  std::string text;  // "30 2 * * *" · "10m" · "2027-01-01T03:00[:00][Z]"
  std::string zone = "UTC";
  WallTime anchor{};  // what "every" counts from: when the schedule was made
  bool operator==(const RuleText&) const = default;
};

class TimeRule {
 public:
  // kUsage says what is wrong with the text; kConfig when this machine has no tz database.
  static Result<TimeRule> make(RuleText text, ZoneFiles& zones);
  // The first nominal instant strictly after `after`, in whole seconds. None: it has fired for the
  // last time. Any instant may be asked about: 1970 to 9998 are the years it knows.
  std::optional<WallTime> next(WallTime after) const;
  const RuleText& text() const { return text_; }
  // "2026-10-25 02:30:00 +0200": what the clocks of the zone show then.
  std::string shown(WallTime time) const;

 private:
  struct Every {
    Millis period;
  };
  struct At {
    WallTime time;
  };
  TimeRule(RuleText text, std::shared_ptr<const Zone> zone, std::variant<Cron, Every, At> rule)
      : text_(std::move(text)), zone_(std::move(zone)), rule_(rule) {}
  std::optional<WallTime> next_in_calendar(WallTime after) const;
  std::optional<WallTime> next_of(const Cron& cron, WallTime after) const;
  std::optional<WallTime> next_of_interval(const Cron& cron, WallTime after) const;
  static Result<Every> parse_every(const std::string& text);

  RuleText text_;
  std::shared_ptr<const Zone> zone_;
  std::variant<Cron, Every, At> rule_;
};

// When the clocks of a zone first show `local`, or pass it.
sys_seconds first_shown(const Zone& zone, LocalTime local);

}  // namespace rexec::schedule
