#include "cli/verbs/schedule_rule.hpp"

namespace rexec::cli {

Result<schedule::RuleText> read_rule(const Args& args, WallTime now) {
  using schedule::RuleKind;
  std::vector<RuleKind> given;
  for (const RuleKind kind : {RuleKind::kCron, RuleKind::kEvery, RuleKind::kAt})
    if (args.has(schedule::rule_kind_name(kind))) given.push_back(kind);
  if (given.size() != 1)
    return fail(Code::kUsage, "when? give one of --cron, --every and --at",
                "such as --cron '30 2 * * *' --tz Europe/Rome, or --every 10m");
  const RuleKind kind = given.front();
  if (kind == RuleKind::kEvery && args.has("tz"))
    return fail(Code::kUsage, "--tz: --every counts time and reads no clock, it has no zone",
                "leave --tz out");
  return schedule::RuleText{kind, args.value(schedule::rule_kind_name(kind)),
                            args.value("tz", "UTC"), now};
}

}  // namespace rexec::cli
