// Which of several jobs the standard input waits for.
#include "src/client/stdin_wait.hpp"

#include <doctest/doctest.h>

using namespace rexec;
using namespace rexec::client;

namespace {

BootTime at(std::int64_t ms) { return BootTime{} + Millis{1'000'000 + ms}; }
using Taken = std::vector<StdinWait::Taken>;
using Jobs = std::vector<std::size_t>;

}  // namespace

TEST_CASE("stdin_wait: who takes nothing while the others have taken more is named, once") {
  StdinWait wait;
  const Taken taken{{0, 900}, {1, 0}, {2, 0}, {3, 1'000}};
  CHECK_FALSE(wait.left(at(0)));
  wait.look(taken, true, at(0));
  CHECK(wait.left(at(1'000)) == Millis{4'000});
  CHECK(wait.slowest(taken, at(4'999)).empty());
  wait.look(taken, true, at(4'999));
  CHECK(wait.slowest(taken, at(5'000)) == Jobs{1, 2});
  wait.look(taken, true, at(9'000));
  CHECK_FALSE(wait.left(at(20'000)));
  CHECK(wait.slowest(taken, at(20'000)).empty());
}

TEST_CASE("stdin_wait: who takes it slowly, and an input that has no more, is no news") {
  StdinWait wait;
  for (std::uint64_t i = 0; i < 100; ++i) {
    const BootTime now = at(static_cast<std::int64_t>(i) * 4'000);
    const Taken taken{{0, 1'000 + i}, {1, i}};
    wait.look(taken, true, now);
    CHECK(wait.slowest(taken, now).empty());
  }
  wait.look(Taken{{0, 5'000}, {1, 0}}, false, at(500'000));
  CHECK_FALSE(wait.left(at(600'000)));
  wait.look(Taken{{0, 7}, {1, 7}}, true, at(600'000));
  CHECK_FALSE(wait.left(at(700'000)));
  wait.look(Taken{}, true, at(700'000));
  CHECK_FALSE(wait.left(at(800'000)));
}
