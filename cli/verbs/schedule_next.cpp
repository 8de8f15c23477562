// `rexec schedule next`: when a rule fires, in its zone and in UTC. A stored one's is the
// controller's to say; the rule of the flags is worked out here, on this machine's tz database,
// without a controller.
#include "cli/line/call.hpp"
#include "cli/line/errors.hpp"
#include "cli/line/exit_status.hpp"
#include "cli/line/listing.hpp"
#include "cli/verbs/schedule.hpp"
#include "src/schedule/firing.hpp"

namespace rexec::cli {
namespace {

constexpr std::uint64_t kMostShown = 1000;

Result<wire::Map> of_flags(const Args& args, std::uint64_t count) {
  const Result<schedule::RuleText> text = read_rule(args, wall_now());
  if (!text) return std::unexpected(text.error());
  schedule::ZoneFiles zones;
  const auto rule = schedule::TimeRule::make(*text, zones);
  if (!rule) return std::unexpected(rule.error());
  wire::Map list = wire::Map::array();
  for (const WallTime at : schedule::upcoming(*rule, wall_now(), count))
    list.push_back({{"utc", to_iso8601(at)}, {"local", rule->shown(at)}});
  return wire::Map{{"firings", std::move(list)}};
}

int run_next(const Invocation& invocation) {
  const Args& args = invocation.args;
  const Globals& globals = invocation.globals;
  const Result<std::uint64_t> count = args.number("count", 10, kMostShown, 1);
  if (!count) return fail_with(globals, count.error());
  const bool is_stored = !args.words().empty();
  const bool has_rule = args.has("cron") || args.has("every") || args.has("at");
  if (is_stored && (has_rule || args.has("tz")))
    return fail_with(globals, {Code::kUsage, "a schedule's name and a rule: give one of them",
                               "the stored one: rexec schedule next " + args.word(0) +
                                   "\na rule: rexec schedule next --cron '30 2 * * *'"});
  const Result<wire::Map> answer =
      is_stored ? call(globals, "schedule.next", {{"name", args.word(0)}, {"count", *count}})
                : of_flags(args, *count);
  if (!answer) return fail_with(globals, answer.error());
  Listing listing;
  listing.headings = {{"LOCAL"}, {"UTC"}};
  listing.nothing = "it fires no more";
  for (const wire::Map& firing : wire::child_or_empty(*answer, "firings")) {
    const std::string utc = wire::text_or(firing, "utc");
    // Whole seconds: the milliseconds are never anything but zero.
    listing.add({wire::text_or(firing, "local"), utc.substr(0, 19) + "Z"}, utc, wire::Map(firing));
  }
  return print_listing(globals, listing);
}

constexpr Flag kFlags[] = {
    kRuleFlags[0],
    kRuleFlags[1],
    kRuleFlags[2],
    kRuleFlags[3],
    {'n', "count", "N", "so many (default 10)"},
};

}  // namespace

constinit const Verb schedule_next_verb{
    .name = "next",
    .summary = "when one fires next, in its zone and in UTC",
    .synopsis = "NAME | --cron FIELDS|--every D|--at TIME",
    .flags = kFlags,
    .most = 1,
    .run = run_next,
    .details =
        "With a rule in place of a name nothing is stored and no controller is asked. A time that\n"
        "a change to summer time skips fires once, at the end of the gap; one that comes twice\n"
        "fires the first time only, and both times when the rule's hour contains *.\n\n"
        "example:\n"
        "  rexec schedule next --cron '30 2 * * *' --tz Europe/Rome",
    .formats = kAllFormats};

}  // namespace rexec::cli
