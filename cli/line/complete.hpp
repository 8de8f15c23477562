// What may come next on a command line: pure, over the tables of verbs and flags. The shells'
// scripts (completions/) call it through the hidden verb `__complete -- WORDS…`, whose last word is
// the one being typed.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "cli/line/verbs.hpp"

namespace rexec::cli {

struct Candidate {
  std::string word;  // ":file" and ":command": the shell's own completion
  std::string help;
};

struct CompletionTables {
  std::span<const Verb* const> verbs;
  std::span<const Flag> globals;
  // Names of a kind ("@node", "@job", "@context" …); called at most once per completion.
  std::function<std::vector<std::string>(std::string_view kind)> names;
};

std::vector<Candidate> complete(const CompletionTables& tables,
                                const std::vector<std::string>& words);

}  // namespace rexec::cli
