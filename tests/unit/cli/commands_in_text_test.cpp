// What errors, pages and hints tell people to type exists: every "rexec VERB" and every "--flag" in
// the explanations, in --help and in the string literals of the sources is looked up in the verb
// table.
#include <doctest/doctest.h>

#include <cctype>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "cli/line/help.hpp"
#include "cli/line/verbs.hpp"

using namespace rexec;
using namespace rexec::cli;

namespace {

using Problems = std::vector<std::string>;

bool is_here(const Flag* flag) { return flag != nullptr && flag->standing == Standing::kHere; }

bool any_verb_has(std::span<const Verb* const> verbs, std::string_view flag) {
  for (const Verb* verb : verbs) {
    if (verb->shown == Shown::kYes && is_here(find_flag(verb->flags, flag))) return true;
    if (any_verb_has(verb->subs, flag)) return true;
  }
  return false;
}

bool is_global(std::string_view flag) { return is_here(find_flag(global_flags(), flag)); }

std::string_view word_at(std::string_view text) {
  std::size_t size = 0;
  while (size < text.size() && (std::islower(static_cast<unsigned char>(text[size])) != 0 ||
                                text[size] == '-' || std::isdigit(text[size]) != 0))
    ++size;
  return text.substr(0, size);
}

// Where a command is quoted, rather than rexec spoken of: behind "see: ", "`", "$(", an indent …
// A line may begin with either.
bool is_command(std::string_view before, std::string_view rest) {
  if (before.empty() && rest.ends_with(" 1")) return false;  // what a digest begins with
  if (before.empty() || before.ends_with('\n'))
    return find_verb(all_verbs(), word_at(rest)) != nullptr;
  const auto line = before.substr(before.rfind('\n') + 1);
  if (line.starts_with("  ") && line.find_first_not_of(' ') == std::string_view::npos) return true;
  for (const char* mark : {": ", "`", "$(", "or ", "then ", "then: ", "| ", "&& ", "; "})
    if (before.ends_with(mark)) return true;
  return false;
}

// `rest` begins at the verb: "node show NAME; …".
void check_command(std::string_view rest, Problems& problems) {
  rest = rest.substr(0, rest.find_first_of("\n`;,("));
  const std::string shown(rest.substr(0, 60));
  const Verb* verb = nullptr;
  std::span<const Verb* const> level = all_verbs();
  while (!level.empty()) {
    const std::string_view name = word_at(rest);
    if (name.empty() || name.starts_with('-')) break;
    const Verb* next = find_verb(level, name);
    if (next == nullptr || next->shown == Shown::kLater) {
      problems.push_back("no such verb: rexec " + shown);
      return;
    }
    verb = next;
    rest.remove_prefix(std::min(rest.size(), name.size() + 1));
    level = next->subs;
  }
  for (auto at = rest.find("--"); verb != nullptr && at != std::string_view::npos;
       at = rest.find("--", at + 2)) {
    const std::string_view flag = word_at(rest.substr(at + 2));
    if (flag.empty()) break;  // the command's own words follow
    if (!is_here(find_flag(verb->flags, flag)) && !is_global(flag))
      problems.push_back("no such flag: rexec " + shown);
  }
}

// Problems of one text. Flags of other programs' commands are not ours.
Problems problems_of(std::string_view text) {
  Problems problems;
  constexpr std::string_view kName = "rexec ";
  for (auto at = text.find(kName); at != std::string_view::npos; at = text.find(kName, at + 1))
    if (is_command(text.substr(0, at), text.substr(at + kName.size())))
      check_command(text.substr(at + kName.size()), problems);
  if (text.find("adduser") != std::string_view::npos) return problems;
  for (auto at = text.find("--"); at != std::string_view::npos; at = text.find("--", at + 2)) {
    const std::string_view flag = word_at(text.substr(at + 2));
    const bool is_word = at == 0 || std::isspace(text[at - 1]) != 0 || text[at - 1] == '(';
    if (is_word && !flag.empty() && flag[0] != '-' && !is_global(flag) &&
        !any_verb_has(all_verbs(), flag))
      problems.push_back("no verb has --" + std::string(flag));
  }
  return problems;
}

// The string literals of a source, adjacent ones joined; raw ones as they are.
std::vector<std::string> literals_of(const std::string& code) {
  std::vector<std::string> found;
  bool joins = false;
  for (std::size_t i = 0; i < code.size(); ++i) {
    if (code.compare(i, 2, "//") == 0) {
      i = std::min(code.find('\n', i), code.size());
    } else if (code[i] == '\'' && i > 0 && std::isalnum(code[i - 1]) == 0) {
      i += code[i + 1] == '\\' ? 3 : 2;
      joins = false;
    } else if (code[i] == '"') {
      std::string text;
      if (i > 0 && code[i - 1] == 'R') {
        const auto open = code.find('(', i);
        const std::string close = ")" + code.substr(i + 1, open - i - 1) + "\"";
        const auto end = code.find(close, open);
        REQUIRE(end != std::string::npos);
        text = code.substr(open + 1, end - open - 1);
        i = end + close.size() - 1;
      } else {
        for (++i; i < code.size() && code[i] != '"'; ++i) {
          if (code[i] == '\\')
            text += code[++i] == 'n' ? '\n' : code[i];
          else
            text += code[i];
        }
      }
      if (joins)
        found.back() += text;
      else
        found.push_back(text);
      joins = true;
    } else if (std::isspace(static_cast<unsigned char>(code[i])) == 0) {
      joins = false;
    }
  }
  return found;
}

std::string read_all(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void check_text(const std::string& where, std::string_view text) {
  for (const std::string& problem : problems_of(text)) FAIL_CHECK(where << ": " << problem);
}

}  // namespace

TEST_CASE("words: the checker itself finds what does not exist") {
  CHECK(problems_of("see: rexec node ls\nnext: `rexec token new --node NAME`").empty());
  CHECK(problems_of("rexec refuses to do it, and rexec does not know").empty());
  CHECK(problems_of("rexec agent install BACKUP").size() == 1);
  CHECK(problems_of("see: rexec node sl").size() == 1);
  CHECK(problems_of("`rexec rerunn JOB` starts it anew").size() == 1);
  CHECK(problems_of("  rexec agent install --data DIR").size() == 1);
  CHECK(problems_of("`rexec node ls --node x`").size() == 1);
  CHECK(problems_of("--max-fail 3 gives up").size() == 1);
  CHECK(literals_of("f(\"a\" // \"x\"\n  \"b\", '\"', R\"(c\"d)\" + \"e\\n\")") ==
        std::vector<std::string>{"ab", "c\"d", "e\n"});
}

TEST_CASE("words: every explanation names only verbs and flags that exist") {
  for (const Code code : all_codes())
    check_text(std::string(code_name(code)), code_explanation(code));
}

TEST_CASE("words: every --help names only verbs and flags that exist") {
  check_text("rexec help", overview());
  for (const Verb* verb : all_verbs()) {
    if (verb->shown != Shown::kYes) continue;
    check_text(std::string(verb->name), verb->details);
    for (const Verb* sub : verb->subs) check_text(std::string(sub->name), sub->details);
  }
}

TEST_CASE("words: every hint and message in the sources names only verbs and flags that exist") {
  const auto root = std::filesystem::path(REXEC_SOURCE_DIR);
  std::size_t commands = 0;
  for (const char* folder : {"src", "cli"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
      if (entry.path().extension() != ".cpp" && entry.path().extension() != ".hpp") continue;
      for (const std::string& text : literals_of(read_all(entry.path()))) {
        if (text.find("rexec ") != std::string::npos) ++commands;
        check_text(entry.path().filename().string(), text);
      }
    }
  }
  CHECK(commands > 100);
}
