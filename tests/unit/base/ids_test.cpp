// Ids and names.
#include "src/base/ids.hpp"

#include <doctest/doctest.h>

#include <unordered_set>

using namespace rexec;

TEST_CASE("ids: a random id is one, and only with its own prefix") {
  std::unordered_set<JobId> seen;
  for (int i = 0; i < 200; ++i) {
    const JobId id{random_id('j')};
    CHECK(is_id(id.text, 'j'));
    CHECK_FALSE(is_id(id.text, 'r'));
    CHECK(seen.insert(id).second);
  }
}

TEST_CASE("ids: anything else is refused") {
  for (const char* text : {"", "j-", "j-0123456789a", "j-0123456789abc", "j_0123456789ab",
                           "J-0123456789ab", "j-0123456789aB", "j-0123456789ai", "j-../../../et"}) {
    CHECK_FALSE(is_id(text, 'j'));
  }
  CHECK(is_id("j-0123456789ab", 'j'));
}

TEST_CASE("ids: names are what a host name may be, with dots and underscores") {
  for (const char* name : {"a", "7", "node42", "web-1.rack_3", "A"}) {
    CHECK(check_name("node", name));
  }
  const std::string longest(63, 'x');
  CHECK(check_name("node", longest));
  for (const std::string& name : {std::string(), longest + "x", std::string("-a"),
                                  std::string("a."), std::string("a b"), std::string("a/b"),
                                  std::string("ä"), std::string("a\0b", 3)}) {
    const Result<void> checked = check_name("node", name);
    REQUIRE_FALSE(checked);
    CHECK(checked.error().code == Code::kUsage);
  }
}

TEST_CASE("ids: a refused name is shown escaped and short") {
  const Result<void> checked = check_name("node", "\x1b[31m" + std::string(100'000, 'x'));
  REQUIRE_FALSE(checked);
  CHECK(checked.error().message.find('\x1b') == std::string::npos);
  CHECK(checked.error().message.size() < 200);
}
