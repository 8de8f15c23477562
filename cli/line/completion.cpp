// `rexec completion bash|zsh|fish` prints the script of a shell; the hidden `__complete` is what
// the scripts call on every Tab. It reads a cache and dials nothing: 30 ms is the budget.
#include "cli/line/cache.hpp"
#include "cli/line/complete.hpp"
#include "cli/line/errors.hpp"
#include "cli/line/help_topics.hpp"
#include "cli/line/sign_in.hpp"
#include "completions.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

int run(const Invocation& invocation) {
  const std::string shell = invocation.args.word(0);
  if (shell == "bash") return print_out(kBashCompletion);
  if (shell == "zsh") return print_out(kZshCompletion);
  if (shell == "fish") return print_out(kFishCompletion);
  return fail_with(invocation.globals,
                   {Code::kUsage, "no completion for shell \"" + printable(shell) + "\"",
                    "there are: bash, zsh, fish"});
}

std::vector<std::string> names_of(const Globals& globals, std::string_view kind) {
  std::vector<std::string> names;
  if (kind == "@node" || kind == "@target") names = recall(globals, Remembered::kNodes);
  if (kind == "@target") names.emplace_back("@all");
  if (kind == "@job") names = recall(globals, Remembered::kJobs);
  if (kind == "@context") {
    const Result<client::ContextFile> file = load_contexts(globals);
    if (!file) return names;
    for (const client::ContextEntry& entry : file->all()) names.push_back(entry.name);
  }
  if (kind == "@code") {
    for (const Code code : all_codes()) names.emplace_back(code_name(code));
  }
  if (kind == "@topic") {
    for (const Verb* verb : all_verbs()) {
      if (verb->shown == Shown::kYes) names.emplace_back(verb->name);
    }
    for (const HelpTopic& topic : help_topics()) names.emplace_back(topic.name);
  }
  return names;
}

// The context that the line itself names decides whose nodes are offered.
Globals globals_of(const std::vector<std::string>& words) {
  Globals globals;
  for (std::size_t i = 0; i + 1 < words.size() && words[i] != "--"; ++i) {
    if (words[i] == "--context") globals.context = words[i + 1];
    if (words[i] == "--config") globals.config = words[i + 1];
    if (words[i].starts_with("--context=")) globals.context = words[i].substr(10);
    if (words[i].starts_with("--config=")) globals.config = words[i].substr(9);
  }
  return globals;
}

int run_complete(const Invocation& invocation) {
  std::vector<std::string> words = invocation.args.words();
  if (!words.empty() && words[0] == "--") words.erase(words.begin());
  const Globals globals = globals_of(words);
  const CompletionTables tables{all_verbs(), global_flags(),
                                [&](std::string_view kind) { return names_of(globals, kind); }};
  std::string text;
  for (const Candidate& candidate : complete(tables, words)) {
    text += printable(candidate.word);
    if (!candidate.help.empty()) text += "\t" + candidate.help;
    text += "\n";
  }
  return print_out(text);
}

constexpr std::string_view kDetails =
    "bash:  rexec completion bash > ~/.local/share/bash-completion/completions/rexec\n"
    "zsh:   rexec completion zsh > some directory of $fpath/_rexec\n"
    "fish:  rexec completion fish > ~/.config/fish/completions/rexec.fish";

}  // namespace

constinit const Verb completion_verb{.name = "completion",
                                     .summary = "print the completion script of a shell",
                                     .synopsis = "bash|zsh|fish",
                                     .least = 1,
                                     .most = 1,
                                     .run = run,
                                     .completes = "bash|zsh|fish",
                                     .details = kDetails,
                                     .formats = kOnlyText};
constinit const Verb complete_verb{.name = "__complete",
                                   .words = Words::kVerbatim,
                                   .most = SIZE_MAX,
                                   .run = run_complete,
                                   .shown = Shown::kHidden};

}  // namespace rexec::cli
