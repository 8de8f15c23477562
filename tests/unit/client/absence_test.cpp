// Who is waited for, and for how long: the own link, and of several jobs each one's node.
#include "src/client/absence.hpp"

#include <doctest/doctest.h>

using namespace rexec;
using namespace rexec::client;

namespace {

constexpr Millis kMost{2'000};
BootTime at(std::int64_t ms) { return BootTime{} + Millis{1'000'000 + ms}; }
using Jobs = std::vector<std::size_t>;

}  // namespace

TEST_CASE("absence: a node that is away too long is its own job's loss, and no other's") {
  Absences absences(kMost);
  CHECK(absences.node_left(1, at(0)));
  CHECK(absences.node_left(2, at(500)));
  CHECK(absences.overdue(at(1'999)).empty());
  CHECK(absences.overdue(at(2'000)) == Jobs{1});
  CHECK(absences.link_left(at(9'000)) > Millis{0});
  CHECK(absences.overdue(at(2'500)) == Jobs{1, 2});
  CHECK(absences.node_came(1));
  CHECK_FALSE(absences.node_came(1));
  CHECK(absences.overdue(at(2'500)) == Jobs{2});
}

TEST_CASE("absence: of a node that leaves again and again the first time counts") {
  Absences absences(kMost);
  CHECK(absences.node_left(0, at(0)));
  for (std::int64_t ms = 100; ms < 2'000; ms += 100) CHECK_FALSE(absences.node_left(0, at(ms)));
  CHECK(absences.overdue(at(2'000)) == Jobs{0});
  CHECK(absences.node_came(0));
  CHECK(absences.node_left(0, at(2'000)));
  CHECK(absences.overdue(at(3'999)).empty());
}

TEST_CASE("absence: the link has a count of its own, from its first break until it is back") {
  Absences absences(kMost);
  CHECK_FALSE(absences.is_link_away());
  CHECK(absences.link_left(at(0)) > kMost);
  absences.link_broke(at(0));
  absences.link_broke(at(1'500));
  CHECK(absences.link_left(at(1'500)) == Millis{500});
  CHECK(absences.link_left(at(2'000)) <= Millis{0});
  absences.link_is_back();
  CHECK(absences.link_left(at(2'000)) > kMost);
}

TEST_CASE("absence: while the link is away nothing is held against a node") {
  Absences absences(kMost);
  absences.node_left(3, at(0));
  absences.link_broke(at(1'900));
  CHECK(absences.overdue(at(3'000)).empty());
  CHECK(absences.is_node_away(3));
  CHECK_FALSE(absences.node_left(3, at(3'000)));  // the link is back and the node is not
  CHECK(absences.overdue(at(4'999)).empty());
  CHECK(absences.overdue(at(5'000)) == Jobs{3});
}

TEST_CASE("absence: a look is due when the next node's time is up") {
  Absences absences(kMost);
  CHECK(absences.until_next(at(0), Millis{1'000}) == Millis{1'000});
  absences.node_left(0, at(0));
  CHECK(absences.until_next(at(100), Millis{1'000}) == Millis{1'000});
  CHECK(absences.until_next(at(1'700), Millis{1'000}) == Millis{300});
  CHECK(absences.until_next(at(2'700), Millis{1'000}) == Millis{0});
}
