// Selectors against a small fleet.
#include "src/select/resolve.hpp"

#include <doctest/doctest.h>

#include "src/select/parse.hpp"

using namespace rexec;
using namespace rexec::select;

using Names = std::vector<std::string>;

static const std::vector<InventoryNode> kFleet{
    {"node10", {{"os", "linux"}, {"zone", "a"}}, {"web"}},
    {"node2", {{"os", "linux"}, {"zone", "b"}}, {"web", "canary"}},
    {"node1", {{"os", "linux"}}, {}},
    {"db1", {{"os", "bsd"}, {"zone", "a"}}, {"db"}},
};

static Result<Names> pick(std::string_view text, Inventory inventory = kFleet) {
  return resolve(parse_target(text).value(), inventory);
}

TEST_CASE("resolve: each form selects its nodes, unique and in natural order") {
  const struct {
    const char* text;
    Names expected;
  } rows[] = {
      {"node2", {"node2"}},
      {"node10,node2,node2", {"node2", "node10"}},
      {"node[1-2,10]", {"node1", "node2", "node10"}},
      {"@all", {"db1", "node1", "node2", "node10"}},
      {"@web", {"node2", "node10"}},
      {"os=linux&zone=a", {"node10"}},
      {"@web,@db", {"db1", "node2", "node10"}},
      {"@web&!@canary", {"node10"}},
      {"!os=linux", {"db1"}},
      {"!(@web,@db)", {"node1"}},
      {"zone=a,node1&os=linux", {"db1", "node1", "node10"}},
      {"!!node1", {"node1"}},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const Result<Names> found = pick(row.text);
    REQUIRE(found);
    CHECK(*found == row.expected);
  }
}

TEST_CASE("resolve: an unknown name is an error with a suggestion, also beside good ones") {
  const Result<Names> found = pick("node1,nod2");
  REQUIRE_FALSE(found);
  CHECK(found.error().code == Code::kUnknownNode);
  CHECK(found.error().message == "node \"nod2\" is not known");
  CHECK(found.error().hint == "did you mean: node2?\nsee: rexec node ls");
}

TEST_CASE("resolve: a mistyped name or group inside a negation is an error, not everything") {
  CHECK(pick("@web&!nod2").error().code == Code::kUnknownNode);
  const Result<Names> found = pick("@all&!@canry");
  REQUIRE_FALSE(found);
  CHECK(found.error().message == "group \"@canry\" has no nodes");
  CHECK(found.error().hint.starts_with("did you mean: @canary?"));
}

TEST_CASE("resolve: many unknown names are counted, not listed") {
  const Result<Names> found = pick("node[1-20]");
  REQUIRE_FALSE(found);
  CHECK(found.error().message == "nodes \"node3\", \"node4\", \"node5\" and 14 more are not known");
}

TEST_CASE("resolve: selecting nothing is an error") {
  CHECK(pick("os=plan9").error().message == "no node matches \"os=plan9\"");
  CHECK(pick("@web&@db").error().code == Code::kUnknownNode);
  CHECK(pick("!@all").error().code == Code::kUnknownNode);
  CHECK(pick("@all", {}).error().hint.find("join") != std::string::npos);
}

TEST_CASE("resolve: one node matches by itself, and unknown names just do not match") {
  CHECK(matches(parse_target("@web&zone=b").value(), kFleet[1]));
  CHECK_FALSE(matches(parse_target("nobody").value(), kFleet[1]));
  CHECK(matches(parse_target("!nobody").value(), kFleet[1]));
}

TEST_CASE("resolve: ten thousand nodes and the largest expression take well under a second") {
  std::vector<InventoryNode> fleet;
  for (int i = 0; i < 10'000; ++i) {
    const std::string name = "n" + std::to_string(i);
    const std::string os = i % 2 == 0 ? "linux" : "bsd";
    fleet.push_back({name, {{"os", os}}, {"g" + std::to_string(i % 900)}});
  }
  std::string text = "n[0-9999]";
  for (int i = 0; i < 900; ++i) text += ",@g" + std::to_string(i);
  CHECK(pick(text, fleet).value().size() == 10'000);
  CHECK(pick("n[0-9999]&os=bsd", fleet).value().size() == 5'000);
}
