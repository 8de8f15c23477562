#include "cli/line/complete.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace rexec::cli;

namespace {

constexpr Flag kRunFlags[] = {{'i', "stdin"},
                              {'u', "user", "USER"},
                              {.name = "children", .value = "HOW", .choices = "kill|wait|leave"},
                              {.name = "env-file", .value = "FILE", .choices = "@file"},
                              {.name = "cpu", .value = "N", .standing = Standing::kLater}};
constexpr Flag kGlobals[] = {{'o', "output", "FORMAT", {}, "table|json|jsonl"},
                             {.name = "context", .value = "NAME", .choices = "@context"}};
const Verb kRun{.name = "run",
                .flags = kRunFlags,
                .words = Words::kCommand,
                .most = SIZE_MAX,
                .completes = "@target :command :file"};
const Verb kShow{.name = "show", .most = 1, .completes = "@node"};
const Verb kLs{.name = "ls"};
constexpr const Verb* kNodeSubs[] = {&kShow, &kLs};
const Verb kNode{.name = "node", .subs = kNodeSubs};
const Verb kHidden{.name = "__x", .shown = Shown::kHidden};
const Verb kLater{.name = "cp", .shown = Shown::kLater};
constexpr const Verb* kVerbs[] = {&kRun, &kNode, &kHidden, &kLater};

using Strings = std::vector<std::string>;

Strings candidates(const Strings& words) {
  const CompletionTables tables{kVerbs, kGlobals, [](std::string_view kind) -> Strings {
                                  if (kind == "@context") return {"prod", "demo"};
                                  if (kind == "@target") return {"n1", "n2", "web1", "@all"};
                                  return {"n1", "n2", "web1"};
                                }};
  Strings found;
  for (const Candidate& candidate : complete(tables, words)) found.push_back(candidate.word);
  return found;
}

}  // namespace

TEST_CASE("completion: the next word from verbs, flags, values, nodes and the command") {
  struct Row {
    Strings words;
    Strings expected;
  };
  const Row rows[] = {
      {{""}, {"run", "node"}},
      {{"r"}, {"run"}},
      {{"cp"}, {}},
      {{"--co"}, {"--context"}},
      {{"--context", ""}, {"prod", "demo"}},
      {{"--context", "prod", "no"}, {"node"}},
      {{"node", ""}, {"show", "ls"}},
      {{"node", "show", ""}, {"n1", "n2", "web1"}},
      {{"node", "show", "n1", ""}, {}},
      {{"node", "ls", ""}, {}},
      {{"run", "n"}, {"n1", "n2"}},
      {{"run", "n1,"}, {"n1,n2", "n1,web1", "n1,@all"}},
      {{"run", "--ch"}, {"--children"}},
      {{"run", "--cp"}, {}},
      {{"run", "--children", ""}, {"kill", "wait", "leave"}},
      {{"run", "--children=w"}, {"--children=wait"}},
      {{"run", "--children", "=", "w"}, {"wait"}},
      {{"run", "--children", "="}, {"kill", "wait", "leave"}},
      {{"run", "--children", "=", "kill", "n1"}, {"n1"}},
      {{"run", "-u", ""}, {}},
      {{"run", "-u", "root", "w"}, {"web1"}},
      {{"run", "-i", "w"}, {"web1"}},
      {{"run", "-iu", "root", "w"}, {"web1"}},
      {{"run", "--env-file", ""}, {":file"}},
      {{"run", "n1", ""}, {":command"}},
      {{"run", "n1", "--", "l"}, {":command"}},
      {{"run", "n1", "ls", "-"}, {":file"}},
      {{"run", "n1", "--ch"}, {"--children"}},
      {{"-o", "js"}, {"json", "jsonl"}},
      {{"nonsense", ""}, {}},
      {{}, {"run", "node"}},
  };
  for (const Row& row : rows) {
    std::string line;
    for (const std::string& word : row.words) line += word + "|";
    CAPTURE(line);
    CHECK(candidates(row.words) == row.expected);
  }
}
