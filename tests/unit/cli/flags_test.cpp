#include "cli/line/flags.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace rexec;
using namespace rexec::cli;

namespace {

constexpr Flag kFlags[] = {
    {'i', "stdin"},
    {'t', "tty"},
    {.letter = 'e', .name = "env", .value = "K=V", .often = Often::kRepeated},
    {'u', "user", "USER"},
    {.name = "timeout", .value = "D"},
    {.name = "wait", .value = "D", .takes = Takes::kOptionalValue},
    {.name = "cpu", .value = "N", .standing = Standing::kLater},
};
constexpr Flag kGlobals[] = {{'o', "output", "FORMAT"}, {.name = "json"}};

Result<Args> parse(std::vector<const char*> words, Words kind = Words::kAnywhere) {
  return parse_flags({kGlobals, kFlags, kind, "rexec run --help"}, words);
}

using Strings = std::vector<std::string>;

}  // namespace

TEST_CASE("flags: letters bundle, values come after, after = or in the same word") {
  const auto args = parse({"-it", "-eA=1", "-e", "B=2", "--env=C=3", "--timeout", "5", "-ojson"});
  REQUIRE(args);
  CHECK(args->has("stdin"));
  CHECK(args->has("tty"));
  CHECK(args->values("env") == Strings{"A=1", "B=2", "C=3"});
  CHECK(args->value("timeout") == "5");
  CHECK(args->value("output") == "json");
  CHECK_FALSE(args->has("json"));
}

TEST_CASE("flags: words after the one that follows TARGET belong to the command, untouched") {
  // FAULTS C2
  struct Row {
    std::vector<const char*> words;
    Strings expected;
  };
  const Row rows[] = {
      {{"n", "ls", "-i", "--json", "--"}, {"n", "ls", "-i", "--json", "--"}},
      {{"n", "--", "ls", "-i"}, {"n", "ls", "-i"}},
      {{"n", "--", "--", "x"}, {"n", "--", "x"}},
      {{"--", "n", "--", "ls"}, {"n", "ls"}},
      {{"--", "n", "-x"}, {"n", "-x"}},
      {{"n", "--", ""}, {"n", ""}},
      {{"n", "[p,q]", "a b", "$HOME", "x;id", "nl\n", ""},
       {"n", "[p,q]", "a b", "$HOME", "x;id", "nl\n", ""}},
      {{"n", "-", "-i"}, {"n", "-", "-i"}},
  };
  for (const Row& row : rows) {
    const auto args = parse(row.words, Words::kCommand);
    REQUIRE(args);
    CHECK(args->words() == row.expected);
    CHECK_FALSE(args->has("stdin"));
    CHECK_FALSE(args->has("json"));
  }
}

TEST_CASE("flags: flags are taken before TARGET and between TARGET and the command") {
  const auto before = parse({"-i", "n", "cat"}, Words::kCommand);
  const auto between = parse({"n", "--timeout", "1", "cat"}, Words::kCommand);
  REQUIRE(before);
  REQUIRE(between);
  CHECK(before->has("stdin"));
  CHECK(between->value("timeout") == "1");
  CHECK(between->words() == Strings{"n", "cat"});
}

TEST_CASE("flags: an unknown flag is an error with the nearest one") {
  const auto args = parse({"--timeuot", "5"});
  REQUIRE_FALSE(args);
  CHECK(args.error().code == Code::kUsage);
  CHECK(args.error().message == "unknown flag \"--timeuot\"");
  CHECK(args.error().hint == "did you mean: --timeout?\nsee: rexec run --help");
  const auto command = parse({"n", "-x"}, Words::kCommand);
  REQUIRE_FALSE(command);
  CHECK(command.error().hint.starts_with("a command that begins with a dash needs -- before it"));
}

TEST_CASE("flags: control bytes of a wrong word do not reach the terminal") {
  const auto args = parse({"--\x1b[31m"});
  REQUIRE_FALSE(args);
  CHECK(args.error().message == "unknown flag \"--\\x1b[31m\"");
}

TEST_CASE("flags: a missing value, a superfluous one and a later flag are told apart") {
  CHECK(parse({"--timeout"}).error().message == "--timeout needs a value: D");
  CHECK(parse({"--stdin=1"}).error().message == "--stdin takes no value");
  CHECK(parse({"--cpu", "2"}).error().message == "--cpu is not in this version of rexec");
}

TEST_CASE("flags: an optional value comes only after =") {
  const auto alone = parse({"--wait", "n"});
  REQUIRE(alone);
  CHECK(alone->value("wait").empty());
  CHECK(alone->words() == Strings{"n"});
  CHECK(parse({"--wait=5s"})->value("wait") == "5s");
}

TEST_CASE("flags: two different values of one flag are refused unless they add up") {
  const auto twice = parse({"--timeout", "1", "--timeout=2"});
  REQUIRE_FALSE(twice);
  CHECK(twice.error().code == Code::kUsage);
  CHECK(twice.error().message == "--timeout is given twice: \"1\" and \"2\"");
  CHECK(parse({"-u", "a", "-ub"}).error().message == "--user is given twice: \"a\" and \"b\"");
  CHECK(parse({"--timeout", "1", "--timeout", "1"})->value("timeout") == "1");
  CHECK(parse({"-e", "A", "-e", "B"})->values("env") == Strings{"A", "B"});
  CHECK(parse({"-i", "-i"})->has("stdin"));
}

TEST_CASE("flags: of a global flag, which may come from an alias, the last value counts") {
  CHECK(parse({"-o", "json", "--output", "name"})->value("output") == "name");
}

TEST_CASE("flags: what is no duration is found in every flag that takes one") {
  CHECK(parse({"--timeout", "1m", "--wait", "--wait"})->check_durations());
  CHECK(parse({"--timeout", "n1"})->check_durations().error().message ==
        "--timeout: \"n1\" is not a duration");
  CHECK(parse({"--wait=n1"})->check_durations().error().message ==
        "--wait: \"n1\" is not a duration");
}

TEST_CASE("flags: the last word that a flag took is known, for whoever misses one") {
  CHECK(parse({"-u", "n1", "-i", "x"})->last_taken() == "--user has \"n1\" as its value");
  CHECK(parse({"-un1", "--env=x", "x"})->last_taken().empty());
  CHECK(parse({"-u", "n1", "--timeout", "5m"})->last_taken().empty());
}

TEST_CASE("flags: numbers, durations and choices are checked where they are read") {
  // FAULTS C11
  const auto args = parse({"--timeout", "1x", "-o", "tabel"});
  REQUIRE(args);
  CHECK(args->duration("timeout", Millis{0}).error().code == Code::kUsage);
  CHECK(args->number("timeout", 0, 10).error().code == Code::kUsage);
  const auto choice = args->choice("output", "table|json", "table");
  REQUIRE_FALSE(choice);
  CHECK(choice.error().hint == "did you mean: table?");
  CHECK(parse({"--timeout", "10"})->number("timeout", 0, 9).error().code == Code::kUsage);
  CHECK(*parse({"--timeout", "9"})->number("timeout", 0, 9) == 9);
  CHECK(parse({"--timeout", ""})->number("timeout", 0, 9).error().code == Code::kUsage);
}

TEST_CASE("flags: what is understood beside an error is kept, for whoever tells of the error") {
  const std::vector<const char*> words{"--foo", "--timeout=5", "-x", "n", "ls", "--timeout", "7"};
  const Parsed parsed =
      parse_all_flags({kGlobals, kFlags, Words::kCommand, "rexec run --help"}, words);
  REQUIRE(parsed.error);
  CHECK(parsed.error->message == "unknown flag \"--foo\"");
  CHECK(parsed.args.value("timeout") == "5");
  CHECK(parsed.args.words() == Strings{"n", "ls", "--timeout", "7"});
}
