// Actions that wait, and go with their handles.
#include "src/controller/core/wishes.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <string>

using namespace rexec::controller;

TEST_CASE("wishes: an action runs once, for its key, in the order of asking") {
  Wishes<std::string, int> wishes;
  std::string heard;
  const auto hear = [&](const char* who) {
    return [&heard, who](int n) { heard += who + std::to_string(n); };
  };
  const Wish a = wishes.add("k", hear("a"));
  const Wish b = wishes.add("k", hear("b"));
  const Wish other = wishes.add("other", hear("o"));
  CHECK(wishes.fulfil("k", 1, 7));
  CHECK(heard == "a7");
  CHECK_FALSE(wishes.fulfil("k", 5, 8));
  CHECK_FALSE(wishes.fulfil("k", 5, 9));
  CHECK(heard == "a7b8");
  CHECK(wishes.size("other") == 1);
}

TEST_CASE("wishes: what an action keeps goes with the handle, and one may drop another's") {
  Wishes<int> wishes;
  const auto kept = std::make_shared<int>(1);
  Wish first = wishes.add(1, [kept] {});
  CHECK(kept.use_count() == 2);
  first.reset();
  CHECK(kept.use_count() == 1);
  CHECK(wishes.size(1) == 0);

  bool has_run = false;
  Wish second;
  const Wish dropping = wishes.add(1, [&] { second.reset(); });
  second = wishes.add(1, [&] { has_run = true; });
  CHECK_FALSE(wishes.fulfil(1, 10));
  CHECK_FALSE(has_run);
}

TEST_CASE("wishes: a handle may outlive them") {
  std::optional<Wishes<int>> wishes(std::in_place);
  const Wish wish = wishes->add(1, [] {});
  wishes.reset();
}
