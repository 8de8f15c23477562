#include "cli/line/verbs.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include "cli/line/help.hpp"
#include "src/base/text.hpp"

using namespace rexec;
using namespace rexec::cli;

namespace {

template <class Visit>
void for_each_verb(std::span<const Verb* const> verbs, const std::string& noun, Visit visit) {
  for (const Verb* verb : verbs) {
    const std::string name =
        noun.empty() ? std::string(verb->name) : noun + " " + std::string(verb->name);
    visit(*verb, name);
    for_each_verb(verb->subs, name, visit);
  }
}

}  // namespace

TEST_CASE("verbs: each visible one has a summary, something to run, and its own name") {
  std::set<std::string> seen;
  for_each_verb(all_verbs(), "", [&](const Verb& verb, const std::string& name) {
    CAPTURE(name);
    CHECK(seen.insert(name).second);
    if (verb.shown != Shown::kYes) return;
    CHECK_FALSE(verb.summary.empty());
    CHECK((verb.run != nullptr) == verb.subs.empty());
    CHECK(verb.least <= verb.most);
  });
}

TEST_CASE("verbs: a flag's letter and name are unique within a verb and its globals") {
  for_each_verb(all_verbs(), "", [](const Verb& verb, const std::string& name) {
    CAPTURE(name);
    std::set<std::string> names;
    for (const auto& table : {verb.flags, global_flags()}) {
      for (const Flag& flag : table) {
        CAPTURE(flag.name);
        CHECK(names.insert("--" + std::string(flag.name)).second);
        if (flag.letter != 0) CHECK(names.insert(std::string("-") + flag.letter).second);
        if (flag.standing == Standing::kHere) CHECK_FALSE(flag.help.empty());
      }
    }
  });
}

TEST_CASE("verbs: --help names every flag that can be given and none that cannot") {
  for_each_verb(all_verbs(), "", [](const Verb& verb, const std::string& name) {
    if (verb.shown != Shown::kYes) return;
    const std::string text = verb_help(verb, name);
    for (const Flag& flag : verb.flags) {
      CAPTURE(flag.name);
      const bool is_named = text.find("--" + std::string(flag.name)) != std::string::npos;
      CHECK(is_named == (flag.standing == Standing::kHere));
    }
  });
}

TEST_CASE("verbs: every line of --help fits a terminal of 100 columns") {
  for_each_verb(all_verbs(), "", [](const Verb& verb, const std::string& name) {
    const std::string text = verb_help(verb, name);
    std::size_t column = 0;
    for (const char c : text) {
      column = c == '\n' ? 0 : column + ((static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0);
      if (column > 100) FAIL(name);
    }
  });
}

TEST_CASE("verbs: a mistyped one gets the nearest") {
  const Error error = unknown_verb(all_verbs(), "", "rnu");
  CHECK(error.code == Code::kUsage);
  CHECK(error.hint.starts_with("did you mean: run?"));
  CHECK(unknown_verb(node_verb.subs, "node", "shwo").hint.starts_with("did you mean: show?"));
}

TEST_CASE("verbs: the formats of each are known ones, and the table is one of them") {
  for_each_verb(all_verbs(), "", [](const Verb& verb, const std::string& name) {
    CAPTURE(name);
    const auto all = split(kAllFormats, '|');
    const auto own = split(verb.formats, '|');
    CHECK(own.front() == "table");
    for (const std::string& format : own) CHECK(std::ranges::find(all, format) != all.end());
  });
}

TEST_CASE("verbs: a format is refused where it is typed and no mistake as the default") {
  constexpr Verb object{.name = "x"};
  const auto read = [&](std::vector<const char*> words) {
    const auto args = parse_flags({global_flags(), {}, Words::kAnywhere, {}}, words);
    REQUIRE(args);
    return read_globals(*args, object, "x");
  };
  ::unsetenv("REXEC_OUTPUT");
  CHECK(read({"-o", "wide"}).error().message ==
        "--output wide: rexec x prints nothing of that kind");
  CHECK(read({"--json"})->format == Format::kJson);
  CHECK(read({"--json", "-o", "jsonl"})->format == Format::kJsonl);
  CHECK(read({"--json", "-o", "table"}).error().code == Code::kUsage);
  ::setenv("REXEC_OUTPUT", "wide", 1);
  CHECK(read({})->format == Format::kTable);
  CHECK(read({"-o", "jsonl"})->format == Format::kJsonl);
  ::setenv("REXEC_OUTPUT", "nmae", 1);
  CHECK_FALSE(read({}));
  ::unsetenv("REXEC_OUTPUT");
}
