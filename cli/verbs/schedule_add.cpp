// `rexec schedule add`: a rule, what becomes of firings that overlap or were missed, and a command
// as `submit` takes it.
#include <algorithm>
#include <array>

#include "cli/line/call.hpp"
#include "cli/line/errors.hpp"
#include "cli/line/exit_status.hpp"
#include "cli/line/listing.hpp"
#include "cli/run/run_flags.hpp"
#include "cli/verbs/schedule.hpp"

namespace rexec::cli {
namespace {

constexpr std::string_view kOverlaps = "allow|skip|queue|replace";
constexpr std::string_view kCatchUps = "none|last|all";

constexpr Flag kOwnFlags[] = {
    {.name = "overlap",
     .value = "HOW",
     .help = "the last job still runs: allow, skip (default), queue, replace",
     .choices = kOverlaps},
    {.name = "catch-up",
     .value = "HOW",
     .help = "firings missed while the node was away: none (default), last, all",
     .choices = kCatchUps},
    {.name = "jitter", .value = "D", .help = "delay each by up to D, evenly over nodes"},
};
// What of `submit` makes sense without somebody who waits.
constexpr std::string_view kOfSubmit[] = {"env",   "env-file", "workdir",   "user",   "timeout",
                                          "grace", "children", "sh",        "script", "cpu",
                                          "mem",   "pids",     "privileges"};

constexpr auto kAddFlags = [] {
  std::array<Flag, std::size(kRuleFlags) + std::size(kOwnFlags) + std::size(kOfSubmit)> all{};
  auto* to = std::ranges::copy(kRuleFlags, all.begin()).out;
  to = std::ranges::copy(kOwnFlags, to).out;
  for (const std::string_view name : kOfSubmit)
    *to++ = *std::ranges::find(kSubmitFlags, name, &Flag::name);
  return all;
}();

// The words after NAME; "--" between TARGET and the command is optional, as for run.
std::vector<std::string> target_and_command(const std::vector<std::string>& words) {
  std::vector<std::string> out(words.begin() + 1, words.end());
  if (out.size() > 1 && out[1] == "--") out.erase(out.begin() + 1);
  return out;
}

Result<wire::Map> read_add(const Args& args) {
  const Result<schedule::RuleText> rule = read_rule(args, wall_now());
  if (!rule) return std::unexpected(rule.error());
  const Result<std::string> overlap = args.choice("overlap", kOverlaps, "skip");
  if (!overlap) return std::unexpected(overlap.error());
  const Result<std::string> catch_up = args.choice("catch-up", kCatchUps, "none");
  if (!catch_up) return std::unexpected(catch_up.error());
  const Result<Millis> jitter = args.duration("jitter", Millis{0});
  if (!jitter) return std::unexpected(jitter.error());
  const Args command = args.with_words(target_and_command(args.words()));
  const Result<job::JobSpec> spec = read_spec(command, Manner::kDetached);
  if (!spec) return std::unexpected(spec.error());
  const Result<std::string> encoded = job::encode_spec(*spec);
  if (!encoded) return std::unexpected(encoded.error());
  return wire::Map{{"name", args.word(0)},
                   {"targets", command.word(0)},
                   {"kind", schedule::rule_kind_name(rule->kind)},
                   {"rule", rule->text},
                   {"zone", rule->zone},
                   {"overlap", *overlap},
                   {"catch_up", *catch_up},
                   {"jitter_ms", jitter->count()},
                   {"spec", wire::bin(*encoded)}};
}

int run_add(const Invocation& invocation) {
  const Globals& globals = invocation.globals;
  Result<wire::Map> request = read_add(invocation.args);
  if (!request) return fail_with(globals, request.error());
  const Result<wire::Map> made = call(globals, "schedule.add", std::move(*request));
  if (!made) return fail_with(globals, made.error());
  if (globals.format == Format::kName) return print_out(wire::text_or(*made, "name") + "\n");
  if (globals.format == Format::kJson || globals.format == Format::kJsonl)
    return print_object(globals, *made);
  print_notice(globals, "schedule " + wire::text_or(*made, "name") + " fires next at " +
                            local_time((*made)["next"]) + " here");
  return 0;
}

}  // namespace

constinit const Verb schedule_add_verb{
    .name = "add",
    .summary = "run a command at set times",
    .synopsis = "NAME --cron FIELDS|--every D|--at TIME [flags] TARGET [--] CMD [ARG…]",
    .flags = kAddFlags,
    .words = Words::kCommand,
    .least = 2,
    .most = SIZE_MAX,
    .run = run_add,
    .completes = " @target :command :file",
    .details =
        "Each node of TARGET holds the next 32 firings and fires them also while the controller\n"
        "is away. A firing is a detached job; it finds its schedule's name in REXEC_SCHEDULE and\n"
        "the time it was meant for, in UTC, in REXEC_NOMINAL. Nodes that join TARGET later take\n"
        "part.\n\n"
        "A firing up to one minute late is still on time: it runs with --catch-up none too, when\n"
        "the node was away for so short a time, unless the next one is due as well.\n\n"
        "example:\n"
        "  rexec schedule add nightly --cron '30 2 * * *' --tz Europe/Rome --catch-up last \\\n"
        "    @all -- /usr/local/bin/backup",
    .formats = kNamedFormats};

}  // namespace rexec::cli
