// What a submit says about waiting: read strictly, written as it was read.
#include "src/controller/core/terms.hpp"

#include <doctest/doctest.h>

using namespace rexec;
using namespace rexec::controller;

TEST_CASE("terms: what is written is read again") {
  const Terms terms{.queue = Millis{1500},
                    .online = Millis{60'000},
                    .locks = {{"deploy", 2, LockScope::kFleet}, {"gpu", 1, LockScope::kNode}},
                    .after = {{{"j-0123456789ab"}, After::kAny}, {{"j-1"}, After::kFail}}};
  const auto again = read_terms(to_map(terms));
  REQUIRE(again);
  CHECK(*again == terms);
  CHECK(read_terms(to_map({})).value() == Terms{});
  CHECK_FALSE(Terms{}.any());
}

TEST_CASE("terms: what cannot be meant is refused by name") {
  const auto refused = [](const char* json) {
    const auto terms = read_terms(wire::Map::parse(json));
    REQUIRE_FALSE(terms);
    return terms.error().message;
  };
  CHECK(refused(R"({"locks":[{"name":"a b","slots":1}]})").find("a b") != std::string::npos);
  CHECK(refused(R"({"locks":[{"name":"a","slots":0}]})").find("0 slots") != std::string::npos);
  CHECK(refused(R"({"locks":[{"name":"a","slots":1},{"name":"a","slots":2}]})").find("two") !=
        std::string::npos);
  CHECK(refused(R"({"after":[{"job":"j-1","when":"maybe"}]})").find("maybe") != std::string::npos);
  refused(R"({"after":[{"when":"ok"}]})");
  refused(R"({"after":[7]})");
  refused(R"({"queue_ms":-1})");
  refused(R"({"queue_ms":"soon"})");
}

TEST_CASE("terms: the same lock or dependency twice is once") {
  const auto terms = read_terms(wire::Map::parse(
      R"({"locks":[{"name":"a","slots":1},{"name":"a","slots":1}],
          "after":[{"job":"j-1"},{"job":"j-1","when":"ok"}]})"));
  REQUIRE(terms);
  CHECK(terms->locks.size() == 1);
  CHECK(terms->after.size() == 1);
}

TEST_CASE("terms: lists beyond their bound are refused before they are kept") {
  wire::Map map;
  for (std::size_t i = 0; i <= kMostLocks; ++i)
    map["locks"].push_back({{"name", "l" + std::to_string(i)}, {"slots", 1}});
  CHECK(read_terms(map).error().code == Code::kLimit);
}
