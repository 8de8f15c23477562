// The table of verbs: what `rexec NAME` is called, takes and does. One row per verb, defined in
// the verb's own file; help, completion and the manual's test read the same rows. It parses and
// runs nothing itself; dispatch.hpp does.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "cli/line/flags.hpp"

namespace rexec::cli {

enum class Format { kTable, kWide, kJson, kJsonl, kName };
enum class Color { kAuto, kAlways, kNever };

// What every verb understands; flag > environment > default.
struct Globals {
  std::string context;
  std::string config;
  Format format = Format::kTable;
  Color color = Color::kAuto;
  bool quiet = false;
  bool verbose = false;
  bool no_input = false;
  bool yes = false;
  bool json_errors = false;  // --json or -o json: errors are an object on stderr
};

inline bool is_json(Format format) { return format == Format::kJson || format == Format::kJsonl; }

// What -o may say of a verb's result. A verb that prints nothing has JSON too: that of its errors.
inline constexpr std::string_view kAllFormats = "table|wide|json|jsonl|name";
inline constexpr std::string_view kNamedFormats = "table|json|jsonl|name";
inline constexpr std::string_view kObjectFormats = "table|json|jsonl";
inline constexpr std::string_view kOnlyText = "table";

struct Verb;
struct Invocation {
  const Verb& verb;
  std::string name;  // as typed: "node ls"
  Args args;
  Globals globals;
};

enum class Shown { kYes, kHidden, kLater };

struct Verb {
  std::string_view name;
  std::string_view summary;   // one line for the lists
  std::string_view synopsis;  // what follows the name: "[flags] TARGET [--] CMD [ARG…]"
  std::span<const Flag> flags = {};
  Words words = Words::kAnywhere;
  std::size_t least = 0;                    // words that must be there
  std::size_t most = 0;                     // and may be
  int (*run)(const Invocation&) = nullptr;  // the exit status; null for a noun
  std::string_view completes = {};          // what its words are: "@node", "@job", "a|b" …
  std::string_view details = {};            // paragraphs and examples below the flags in --help
  std::span<const Verb* const> subs = {};
  std::string_view sub_by_default = {};  // `controller` is `controller run`
  Shown shown = Shown::kYes;
  int usage_exit = 2;  // 125 where an exit code may be a job's own
  // With this flag, too, the exit code may be a job's own.
  std::string_view follows_with = {};
  // Another one is refused where it is typed; as the default (REXEC_OUTPUT) it counts as the table.
  std::string_view formats = kObjectFormats;
};

// In the order of the overview: hot verbs first.
std::span<const Verb* const> all_verbs();
std::span<const Flag> global_flags();
// The one of that name in a list, or nullptr. Aliases are rows of their own.
const Verb* find_verb(std::span<const Verb* const> verbs, std::string_view name);
// kUsage with did-you-mean over the visible ones.
Error unknown_verb(std::span<const Verb* const> verbs, std::string_view noun,
                   std::string_view name);

// kUsage for a value that is none of the allowed, or of no use to the verb called `name`.
Result<Globals> read_globals(const Args& args, const Verb& verb, const std::string& name);

// The rows, each in the file of its verb.
extern const Verb run_verb, submit_verb, shell_verb;                         // run.cpp, submit.cpp
extern const Verb ps_verb, job_verb;                                         // jobs.cpp
extern const Verb attach_verb, logs_verb, wait_verb, stop_verb, rerun_verb;  // one file each
extern const Verb node_verb, token_verb, user_verb, context_verb;            // the nouns
extern const Verb schedule_verb;                                             // schedule.cpp
extern const Verb join_verb, login_verb, whoami_verb;                        // identity
extern const Verb controller_verb, agent_verb, agent_net_verb;               // daemons
extern const Verb status_verb, doctor_verb, demo_verb;                       // looking around
extern const Verb explain_verb, completion_verb, version_verb, help_verb;    // about rexec
extern const Verb complete_verb, persist_verb, client_ended_verb;            // hidden ones

// Tells the process that keeps a context's connection open to go (persist.cpp).
void end_kept_connection(const std::string& context_directory);

}  // namespace rexec::cli
