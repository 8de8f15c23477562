// The flags that say when a schedule fires, and the rule they come to. Shared by `schedule add` and
// the dry run of `schedule next`.
#pragma once

#include "cli/line/flags.hpp"
#include "src/schedule/time_rule.hpp"

namespace rexec::cli {

inline constexpr Flag kRuleFlags[] = {
    {.name = "cron", .value = "FIELDS", .help = "minute hour day month weekday, or @daily …"},
    {.name = "every", .value = "D", .help = "each D from now on, whatever the clock shows"},
    {.name = "at", .value = "TIME", .help = "once, at 2027-01-01T03:00; with Z in UTC"},
    {.name = "tz", .value = "ZONE", .help = "the zone of --cron and --at (default UTC)"},
};

// Exactly one of --cron, --every and --at, unread; kUsage otherwise.
Result<schedule::RuleText> read_rule(const Args& args, WallTime now);

}  // namespace rexec::cli
