// The grammar, row by row, and the errors with their columns.
#include "src/select/parse.hpp"

#include <doctest/doctest.h>

using namespace rexec;
using namespace rexec::select;

static Selector names(std::vector<std::string> list) {
  return {Kind::kNames, std::move(list), {}, {}};
}
static Selector group(const char* name) { return {Kind::kGroup, {name}, {}, {}}; }

static Error error_of(std::string_view text) {
  const Result<Selector> parsed = parse_target(text);
  REQUIRE_FALSE(parsed);
  return parsed.error();
}

TEST_CASE("target: a lone name is that name, whatever its shape") {
  for (const char* name : {"node42", "a", "7", "web-1.rack_3", "all"}) {
    CHECK(parse_target(name).value() == names({name}));
  }
}

TEST_CASE("target: lists are one set of names, spaces around words do not matter") {
  CHECK(parse_target("b,a,b").value() == names({"a", "b"}));
  CHECK(parse_target(" a , b ").value() == names({"a", "b"}));
}

TEST_CASE("target: brackets expand, with padding, lists and several brackets") {
  const struct {
    const char* text;
    std::vector<std::string> expected;
  } rows[] = {
      {"n[1-3]", {"n1", "n2", "n3"}},
      {"node[08-10,30]", {"node08", "node09", "node10", "node30"}},
      {"n[098-101]", {"n098", "n099", "n100", "n101"}},
      {"n[9-10]", {"n10", "n9"}},
      {"n[0]", {"n0"}},
      {"n[00]", {"n00"}},
      {"r[1-2]n[1,3]x", {"r1n1x", "r1n3x", "r2n1x", "r2n3x"}},
      {"[1-2]", {"1", "2"}},
      {"n[1-2,2-3]", {"n1", "n2", "n3"}},
      {"n[1-2],m[1]", {"m1", "n1", "n2"}},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const Result<Selector> parsed = parse_target(row.text);
    REQUIRE(parsed);
    CHECK(*parsed == names(row.expected));
  }
}

TEST_CASE("target: groups, labels and everything") {
  CHECK(parse_target("@all").value() == Selector{Kind::kAll, {}, {}, {}});
  CHECK(parse_target("@web").value() == group("web"));
  CHECK(parse_target("os=linux").value() == Selector{Kind::kLabel, {"os"}, "linux", {}});
  CHECK(parse_target("path=/a/b=c:d").value() == Selector{Kind::kLabel, {"path"}, "/a/b=c:d", {}});
}

TEST_CASE("target: not binds tighter than and, and tighter than or") {
  const Selector parsed = parse_target("a,@web&!b").value();
  const Selector not_b{Kind::kNot, {}, {}, {names({"b"})}};
  const Selector both{Kind::kAnd, {}, {}, {group("web"), not_b}};
  CHECK(parsed == Selector{Kind::kOr, {}, {}, {names({"a"}), both}});
  const Selector either{Kind::kOr, {}, {}, {names({"a"}), group("web")}};
  CHECK(parse_target("(a,@web)&!b").value() == Selector{Kind::kAnd, {}, {}, {either, not_b}});
  CHECK(parse_target("!b").value() == not_b);
  CHECK(parse_target("((a))").value() == names({"a"}));
}

TEST_CASE("target: a negation in a list is refused with the form that was meant") {
  const Error error = error_of("@web,!node3");
  CHECK(error.code == Code::kUsage);
  CHECK(error.message.find("column 6: ") != std::string::npos);
  CHECK(error.hint.find("a&!b") != std::string::npos);
  CHECK(parse_target("@web,(!node3)"));
  CHECK(parse_target("@web,!node3&os=linux"));
}

TEST_CASE("target: errors name the column and what was expected") {
  const struct {
    const char* text;
    const char* column;
    const char* why;
  } rows[] = {
      {"", "column 1", "expected a node"},
      {"a,", "column 3", "expected a node"},
      {",a", "column 1", "expected a node"},
      {"a,,b", "column 3", "expected a node"},
      {"a&", "column 3", "expected a node"},
      {"!", "column 2", "expected a node"},
      {"@", "column 2", "is not a valid name"},
      {"a b", "column 3", "expected \",\" or \"&\""},
      {"a!b", "column 2", "before \"!\""},
      {"a@b", "column 2", "expected \",\" or \"&\""},
      {"(a", "column 1", "not closed"},
      {"a)", "column 2", "without"},
      {"()", "column 2", "expected a node"},
      {"n[1-", "column 5", "last number"},
      {"n[1-3", "column 2", "not closed"},
      {"n[3-1]", "column 3", "backwards"},
      {"n[]", "column 3", "expected a number"},
      {"n[a]", "column 3", "expected a number"},
      {"n[1,]", "column 5", "expected a number"},
      {"n[1-2x]", "column 6", "in a range"},
      {"n1]", "column 3", "without"},
      {"n[1[2]]", "column 4", "in a range"},
      {"n[1234567890]", "column 12", "9 digits"},
      {"os=", "column 4", "value"},
      {"=x", "column 1", "is not a valid name"},
      {"nö,-x", "column 1", "is not a valid name"},
      {"a,-x", "column 3", "is not a valid name"},
      {"ü=1,", "column 1", "is not a valid name"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const Error error = error_of(row.text);
    CAPTURE(error.message);
    CHECK(error.code == Code::kUsage);
    CHECK(error.message.find(std::string(row.column) + ": ") != std::string::npos);
    CHECK(error.message.find(row.why) != std::string::npos);
  }
}

TEST_CASE("target: columns count characters, not bytes") {
  CHECK(error_of("k=ää,!").message.find("column 7: ") != std::string::npos);
}

TEST_CASE("target: every bound is refused with limit") {
  CHECK(parse_target("n[1-10000]").value().names.size() == 10'000);
  for (const std::string& text :
       {std::string(70'000, 'a'), std::string("n[1-10001]"), std::string("n[1-5000],m[1-5001]"),
        std::string("a[1-1000]b[1-1000]c[1-1000]d[1-1000]e[1-1000]f[1-1000]g[1-1000]h[1-1000]"),
        std::string("n[0-999999999,0-999999999]"), std::string(40, '!') + "a",
        std::string(40, '(') + "a" + std::string(40, ')')}) {
    CAPTURE(text.substr(0, 60));
    CHECK(error_of(text).code == Code::kLimit);
  }
  CHECK(parse_target(std::string(31, '!') + "a"));
  std::string many = "@a";
  for (int i = 0; i < 1000; ++i) many += ",@a";
  CHECK(error_of(many).code == Code::kLimit);
}

TEST_CASE("target: what a peer sent is shown escaped and shortened") {
  const Error error = error_of("a,\x1b[31m" + std::string(1000, 'x'));
  CHECK(error.message.find('\x1b') == std::string::npos);
  CHECK(error.message.size() < 400);
}

TEST_CASE("target: the text of a selector is short and parses back to it") {
  const struct {
    const char* text;
    const char* expected;
  } rows[] = {
      {"b,a", "a,b"},           {"n[1-3],n7", "n[1-3,7]"},   {"(a,@web)&!b", "(a,@web)&!b"},
      {"!(a,b)", "!(a,b)"},     {"!n[1-2]", "!n[1-2]"},      {"@web,(!b)", "@web,(!b)"},
      {"!!a", "!!a"},           {"(a&b)&c", "(a&b)&c"},      {"a&b,os=x", "a&b,os=x"},
      {"@all&!a", "@all&!a"},   {"(@a,@b),c", "c,(@a,@b)"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const Selector parsed = parse_target(row.text).value();
    CHECK(to_text(parsed) == row.expected);
    CHECK(parse_target(row.expected).value() == parsed);
  }
}
