#include "cli/dispatch.hpp"

#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <vector>

#include "cli/line/errors.hpp"
#include "cli/line/help.hpp"
#include "cli/line/synopsis.hpp"
#include "cli/line/verbs.hpp"
#include "cli/run/run_flags.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

using Argv = std::span<const char* const>;

// Global flags may stand before the verb: how many words they take there.
std::size_t leading_flags(Argv argv) {
  std::size_t i = 0;
  while (i < argv.size()) {
    const std::string_view word = argv[i];
    if (word.size() < 2 || word[0] != '-' || word == "--") break;
    const bool is_long = word.starts_with("--");
    const std::string_view name = word.substr(2, word.find('=') - 2);
    const Flag* flag =
        is_long ? find_flag(global_flags(), name) : find_flag(global_flags(), word.back());
    // Whether an unknown one takes a word cannot be told: it is the error, not what stands behind
    // it.
    if (flag == nullptr) return argv.size();
    const bool has_equals = is_long && word.find('=') != std::string_view::npos;
    i += flag->takes == Takes::kValue && !has_equals ? 2 : 1;
  }
  return std::min(i, argv.size());
}

// What the words before the command of `run` say; enough for an error that came before the flags
// could be read.
Globals guess_globals(Argv argv) {
  Globals globals;
  std::string_view before;
  for (const std::string_view word : argv) {
    if (word == "--") break;
    std::string_view format = word == "--json" ? "json" : "";
    if (before == "-o" || before == "--output") format = word;
    if (word.starts_with("-o")) format = word.substr(2);
    if (word.starts_with("--output=")) format = word.substr(word.find('=') + 1);
    if (format == "json" || format == "jsonl") globals.json_errors = true;
    before = word;
  }
  return globals;
}

bool asks_for_help(Argv argv) {
  return std::any_of(argv.begin(), argv.end(),
                     [](std::string_view word) { return word == "-h" || word == "--help"; });
}

struct Chosen {
  const Verb* verb = nullptr;
  std::string name;
  std::vector<const char*> rest;  // flags that stood before the names, then what follows them
};

// Walks down the nouns. kUsage for a name that is none.
Result<Chosen> choose(Argv argv) {
  Chosen chosen;
  std::span<const Verb* const> level = all_verbs();
  while (true) {
    const std::size_t flags = leading_flags(argv);
    const bool is_default = flags == argv.size() || std::string_view(argv[flags]) == "--";
    std::string_view name = is_default ? "" : argv[flags];
    std::size_t used = is_default ? 0 : 1;
    const bool has_default = chosen.verb != nullptr && !chosen.verb->sub_by_default.empty();
    if (has_default && name.empty() && !asks_for_help(argv)) name = chosen.verb->sub_by_default;
    const Verb* next = name.empty() ? nullptr : find_verb(level, name);
    if (next == nullptr) {
      chosen.rest.insert(chosen.rest.end(), argv.begin(), argv.end());
      if (name.empty()) return chosen;  // a noun alone, or nothing at all
      return std::unexpected(unknown_verb(level, chosen.name, name));
    }
    if (next->shown == Shown::kLater) {
      const std::string whole = chosen.name + (chosen.name.empty() ? "" : " ") + std::string(name);
      return fail(Code::kUsage, "`rexec " + whole + "` is not in this version of rexec",
                  "see: rexec help");
    }
    chosen.rest.insert(chosen.rest.end(), argv.begin(), argv.begin() + static_cast<long>(flags));
    argv = argv.subspan(std::min(argv.size(), flags + used));
    chosen.verb = next;
    chosen.name += (chosen.name.empty() ? "" : " ") + std::string(name);
    if (next->subs.empty()) {
      chosen.rest.insert(chosen.rest.end(), argv.begin(), argv.end());
      return chosen;
    }
    level = next->subs;
  }
}

Result<void> check_words(const Verb& verb, const std::string& name, const Args& args) {
  const std::size_t count = args.words().size();
  if (count >= verb.least && count <= verb.most) return {};
  const std::string usage = "usage: rexec " + name + " " + std::string(verb.synopsis) +
                            "\nsee: rexec " + name + " --help";
  if (count < verb.least) {
    // A flag may have taken the word that is missed.
    if (const Result<void> durations = args.check_durations(); !durations) return durations;
    const std::string taken = args.last_taken();
    return fail(Code::kUsage,
                "rexec " + name + ": missing argument: " + missing_word(verb.synopsis, count),
                (taken.empty() ? "" : taken + "\n") + usage);
  }
  return fail(Code::kUsage,
              "rexec " + name + ": unexpected word \"" +
                  printable(args.words()[verb.most].substr(0, 64)) + "\"",
              usage);
}

int usage_exit(const Verb& verb, const Args& args) {
  const bool follows = !verb.follows_with.empty() && args.has(verb.follows_with);
  return follows ? kExitNotStarted : verb.usage_exit;
}

// A verb that has a status JSON tells of its command line there too.
int refuse(const Verb& verb, const Args& args, const Globals& globals, const Error& error) {
  FollowOptions options;
  options.globals = globals;
  options.plan.targets = args.word(0);
  static_cast<void>(read_status(args, options.status));
  if (options.status.wanted()) return fail_run(options, error);
  print_error(globals, error);
  return usage_exit(verb, args);
}

// A reactor that cannot be made, for want of descriptors, throws.
int call_verb(const Verb& verb, const Invocation& invocation) {
  try {
    return verb.run(invocation);
  } catch (const std::system_error& error) {
    const bool is_many = error.code() == std::errc::too_many_files_open;
    return refuse(verb, invocation.args, invocation.globals,
                  {Code::kIo, "the system refused: " + error.code().message(),
                   is_many ? "allow more open files: ulimit -n 1024" : "see: rexec doctor"});
  } catch (const std::exception& error) {  // whatever an answer had in it, this is no crash
    return refuse(verb, invocation.args, invocation.globals,
                  {Code::kInternal, std::string("an answer that makes no sense: ") + error.what(),
                   "are both ends of one version? rexec version"});
  }
}

// Nothing but flags, or a noun without its sub-command.
int without_verb(const Chosen& chosen, const Args& args) {
  if (args.has("version")) {
    return version_verb.run({version_verb, "version", args, Globals{}});
  }
  const std::string text =
      chosen.verb == nullptr ? overview() : verb_help(*chosen.verb, chosen.name);
  if (args.has("help")) return print_out(text);
  print_error(Globals{}, {Code::kUsage, "which sub-command?", {}});
  const std::string indented = "\n" + text;
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, indented.data(), indented.size());
  return 2;
}

}  // namespace

int dispatch(Argv argv) {
  const Result<Chosen> chosen = choose(argv);
  if (!chosen) {
    print_error(guess_globals(argv), chosen.error());
    return 2;
  }
  const bool is_noun = chosen->verb == nullptr || chosen->verb->run == nullptr;
  const std::string see = chosen->name.empty() ? "rexec help" : "rexec " + chosen->name + " --help";
  const Verb none{};
  const Verb& verb = chosen->verb == nullptr ? none : *chosen->verb;
  const Grammar grammar{global_flags(), verb.flags, verb.words, see};
  Parsed parsed = parse_all_flags(grammar, chosen->rest);
  Args& args = parsed.args;
  if (parsed.error) return refuse(verb, args, guess_globals(argv), *parsed.error);
  if (is_noun) return without_verb(*chosen, args);
  if (args.has("help")) return print_out(verb_help(verb, chosen->name));
  if (args.has("version")) return version_verb.run({version_verb, "version", args, Globals{}});
  const Result<Globals> globals = read_globals(args, verb, chosen->name);
  if (!globals) return refuse(verb, args, guess_globals(argv), globals.error());
  const Result<void> words = check_words(verb, chosen->name, args);
  if (!words) return refuse(verb, args, *globals, words.error());
  return call_verb(verb, {verb, chosen->name, std::move(args), *globals});
}

}  // namespace rexec::cli
