// Which verbs there are, in which order, and which ones of the contract come in a later version.
#include "cli/line/verbs.hpp"

#include <algorithm>
#include <cstdlib>

#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

constexpr Verb later(std::string_view name) {
  return {.name = name, .summary = "not in this version", .shown = Shown::kLater};
}
constexpr Verb kLater[] = {later("cp"),     later("group"),  later("role"),    later("audit"),
                           later("ban"),    later("guard"),  later("service"), later("trap"),
                           later("device"), later("metric"), later("top"),     later("mesh")};

constexpr const Verb* kVerbs[] = {
    &run_verb,          &submit_verb,  &shell_verb,     &ps_verb,         &job_verb,
    &attach_verb,       &logs_verb,    &wait_verb,      &stop_verb,       &rerun_verb,
    &node_verb,         &token_verb,   &join_verb,      &login_verb,      &whoami_verb,
    &context_verb,      &user_verb,    &schedule_verb,  &controller_verb, &agent_verb,
    &status_verb,       &doctor_verb,  &demo_verb,      &explain_verb,    &help_verb,
    &completion_verb,   &version_verb, &agent_net_verb, &complete_verb,   &persist_verb,
    &client_ended_verb, &kLater[0],    &kLater[1],      &kLater[2],       &kLater[3],
    &kLater[4],         &kLater[5],    &kLater[6],      &kLater[7],       &kLater[8],
    &kLater[9],         &kLater[10],   &kLater[11]};

constexpr Flag kGlobals[] = {
    {.name = "context",
     .value = "NAME",
     .help = "the context to use (REXEC_CONTEXT)",
     .choices = "@context"},
    {.name = "config",
     .value = "FILE",
     .help = "the file of contexts (REXEC_CONFIG)",
     .choices = "@file"},
    {'o', "output", "FORMAT", "table, wide, json, jsonl or name (REXEC_OUTPUT)",
     "table|wide|json|jsonl|name"},
    {.name = "json", .help = "the same as -o json; errors are JSON on stderr too"},
    {'q', "quiet", {}, "no notices, only results and errors"},
    {'v', "verbose", {}, "say more about what is done"},
    {.name = "color",
     .value = "WHEN",
     .help = "auto, always or never (NO_COLOR)",
     .choices = "auto|always|never"},
    {.name = "no-input", .help = "never ask; what would is refused without -y (REXEC_NO_INPUT)"},
    {'y', "yes", {}, "the answer to every question"},
    {'h', "help", {}, "this help"},
    {'V', "version", {}, "the version"},
};

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

Format format_of(std::string_view name) {
  if (name == "wide") return Format::kWide;
  if (name == "json") return Format::kJson;
  if (name == "jsonl") return Format::kJsonl;
  if (name == "name") return Format::kName;
  return Format::kTable;
}

Color color_of(std::string_view name) {
  if (name == "always") return Color::kAlways;
  if (name == "never" || !environment("NO_COLOR").empty()) return Color::kNever;
  return environment("TERM") == "dumb" ? Color::kNever : Color::kAuto;
}

bool is_one_of(std::string_view words, std::string_view word) {
  const std::vector<std::string> all = split(words, '|');
  return std::ranges::find(all, word) != all.end();
}

// The default of every verb: what makes no sense for one is no mistake of whoever set it.
Result<Format> format_of_environment(const Verb& verb) {
  const std::string wanted = environment("REXEC_OUTPUT");
  if (wanted.empty()) return Format::kTable;
  if (is_one_of(kAllFormats, wanted))
    return is_one_of(verb.formats, wanted) ? format_of(wanted) : Format::kTable;
  return fail(Code::kUsage, "REXEC_OUTPUT: \"" + printable(wanted) + "\" is not one of " +
                                std::string(kAllFormats));
}

Result<Format> read_format(const Args& args, const Verb& verb, const std::string& name) {
  const bool is_json_flag = args.has("json");
  if (!args.has("output") && !is_json_flag) return format_of_environment(verb);
  const Result<std::string> named =
      args.choice("output", kAllFormats, is_json_flag ? "json" : "table");
  if (!named) return std::unexpected(named.error());
  if (is_json_flag && !is_json(format_of(*named)))
    return fail(Code::kUsage, "--json and --output " + *named + " do not go together: give one");
  if (is_one_of(verb.formats, *named)) return format_of(*named);
  const std::string flag = args.has("output") ? "--output " + *named : "--json";
  return fail(Code::kUsage, flag + ": rexec " + name + " prints nothing of that kind",
              "it has -o " + std::string(verb.formats));
}

}  // namespace

std::span<const Verb* const> all_verbs() { return kVerbs; }
std::span<const Flag> global_flags() { return kGlobals; }

const Verb* find_verb(std::span<const Verb* const> verbs, std::string_view name) {
  for (const Verb* verb : verbs) {
    if (verb->name == name) return verb;
  }
  return nullptr;
}

Error unknown_verb(std::span<const Verb* const> verbs, std::string_view noun,
                   std::string_view name) {
  std::vector<std::string> names;
  for (const Verb* verb : verbs) {
    if (verb->shown == Shown::kYes) names.emplace_back(verb->name);
  }
  const std::string mean = did_you_mean(name, names);
  const std::string see =
      noun.empty() ? "see: rexec help" : "see: rexec " + std::string(noun) + " --help";
  return {Code::kUsage,
          "no sub-command \"" + (noun.empty() ? "" : std::string(noun) + " ") +
              printable(name.substr(0, 64)) + "\"",
          (mean.empty() ? "" : mean + "\n") + see};
}

Result<Globals> read_globals(const Args& args, const Verb& verb, const std::string& name) {
  Globals globals;
  globals.context = args.value("context");
  globals.config = args.value("config");
  const Result<Format> format = read_format(args, verb, name);
  if (!format) return std::unexpected(format.error());
  globals.format = *format;
  const Result<std::string> color = args.choice("color", "auto|always|never", "auto");
  if (!color) return std::unexpected(color.error());
  globals.color = color_of(*color);
  globals.quiet = args.has("quiet");
  globals.verbose = args.has("verbose");
  globals.no_input = args.has("no-input") || !environment("REXEC_NO_INPUT").empty();
  globals.yes = args.has("yes");
  globals.json_errors = is_json(*format);
  return globals;
}

}  // namespace rexec::cli
