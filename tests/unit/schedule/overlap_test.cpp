// Overlap kinds as scenarios of what is due and what ends.
#include "src/schedule/overlap.hpp"

#include <doctest/doctest.h>

using namespace rexec;
using namespace rexec::schedule;
using Kind = Action::Kind;
using Actions = std::vector<Action>;

static WallTime at(int n) { return WallTime{Millis{n}}; }

TEST_CASE("overlap: allow starts each, up to a bound") {
  OverlapGate gate(Overlap::kAllow);
  for (int n = 0; n < static_cast<int>(kMaxAtOnce); ++n)
    CHECK(gate.due(at(n), Timing::kOnTime) == Actions{{Kind::kStart, at(n)}});
  CHECK(gate.due(at(1000), Timing::kOnTime) == Actions{{Kind::kSkip, at(1000)}});
  CHECK(gate.ended(at(7)).empty());
  CHECK(gate.due(at(1001), Timing::kOnTime) == Actions{{Kind::kStart, at(1001)}});
}

TEST_CASE("overlap: skip leaves one out while another runs") {
  OverlapGate gate(Overlap::kSkip);
  CHECK(gate.due(at(1), Timing::kOnTime) == Actions{{Kind::kStart, at(1)}});
  CHECK(gate.due(at(2), Timing::kOnTime) == Actions{{Kind::kSkip, at(2)}});
  CHECK(gate.ended(at(1)).empty());
  CHECK(gate.due(at(3), Timing::kOnTime) == Actions{{Kind::kStart, at(3)}});
}

TEST_CASE("overlap: queue runs them one at a time in order, and is bounded") {
  OverlapGate gate(Overlap::kQueue);
  CHECK(gate.due(at(0), Timing::kOnTime) == Actions{{Kind::kStart, at(0)}});
  for (int n = 1; n <= static_cast<int>(kMaxQueued); ++n)
    CHECK(gate.due(at(n), Timing::kOnTime).empty());
  CHECK(gate.due(at(99), Timing::kOnTime) == Actions{{Kind::kSkip, at(99)}});
  for (int n = 0; n < static_cast<int>(kMaxQueued); ++n)
    CHECK(gate.ended(at(n)) == Actions{{Kind::kStart, at(n + 1)}});
  CHECK(gate.running().size() == 1);
  CHECK(gate.ended(at(kMaxQueued)).empty());
  CHECK(gate.running().empty());
}

TEST_CASE("overlap: replace stops the running one once and starts the newest when it has ended") {
  OverlapGate gate(Overlap::kReplace);
  CHECK(gate.due(at(1), Timing::kOnTime) == Actions{{Kind::kStart, at(1)}});
  CHECK(gate.due(at(2), Timing::kOnTime) == Actions{{Kind::kStop, at(1)}});
  CHECK(gate.due(at(3), Timing::kOnTime) == Actions{{Kind::kSkip, at(2)}});
  CHECK(gate.ended(at(1)) == Actions{{Kind::kStart, at(3)}});
  CHECK(gate.running() == std::set{at(3)});
}

TEST_CASE("overlap: caught-up firings wait for their turn where others are skipped or replace") {
  for (const Overlap kind : {Overlap::kSkip, Overlap::kReplace, Overlap::kQueue}) {
    OverlapGate gate(kind);
    CHECK(gate.due(at(1), Timing::kCaughtUp) == Actions{{Kind::kStart, at(1)}});
    CHECK(gate.due(at(2), Timing::kCaughtUp).empty());
    CHECK(gate.ended(at(1)) == Actions{{Kind::kStart, at(2)}});
  }
}

TEST_CASE("overlap: what waits is dropped when nothing may start any more") {
  OverlapGate gate(Overlap::kQueue);
  gate.due(at(1), Timing::kOnTime);
  gate.due(at(2), Timing::kOnTime);
  CHECK(gate.drop_waiting() == Actions{{Kind::kSkip, at(2)}});
  CHECK(gate.ended(at(1)).empty());
}

TEST_CASE("overlap: a restored gate goes on where the last one was") {
  OverlapGate gate(Overlap::kQueue);
  CHECK(gate.restore({at(1)}, {at(2), at(3)}).empty());
  CHECK(gate.ended(at(1)) == Actions{{Kind::kStart, at(2)}});
  OverlapGate idle(Overlap::kQueue);
  CHECK(idle.restore({}, {at(2)}) == Actions{{Kind::kStart, at(2)}});
}

TEST_CASE("overlap: the end of a job that is not its own changes nothing") {
  OverlapGate gate(Overlap::kQueue);
  gate.due(at(1), Timing::kOnTime);
  gate.due(at(2), Timing::kOnTime);
  CHECK(gate.ended(at(5)).empty());
  CHECK(gate.waiting().size() == 1);
}
