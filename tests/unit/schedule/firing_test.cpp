// The next firings, missed ones, jitter, and what is due at once.
#include "src/schedule/firing.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace rexec;
using namespace rexec::schedule;
using namespace std::chrono;

static const WallTime kStart = sys_days(2026y / 11 / 21);

static TimeRule every(const char* period) {
  ZoneFiles files;
  auto made = TimeRule::make({RuleKind::kEvery, period, "UTC", kStart}, files);
  REQUIRE(made);
  return *made;
}

TEST_CASE("firing: the next ones are in order, and a rule that ends has fewer") {
  const auto next = upcoming(every("10m"), kStart, kHeldFirings);
  REQUIRE(next.size() == 32);
  CHECK(next.front() == kStart + 10min);
  CHECK(next.back() == kStart + 320min);
  ZoneFiles files;
  auto once = TimeRule::make({RuleKind::kAt, "2026-11-22T00:00", "UTC", {}}, files);
  REQUIRE(once);
  CHECK(upcoming(*once, kStart, 32).size() == 1);
  CHECK(upcoming(*once, kStart + 48h, 32).empty());
}

TEST_CASE("firing: the newest missed ones are found, however long the outage was") {
  const auto rule = every("1s");
  const auto few = missed(rule, kStart, kStart + 5s, 32);
  CHECK(few ==
        std::vector<WallTime>{kStart + 1s, kStart + 2s, kStart + 3s, kStart + 4s, kStart + 5s});
  const auto many = missed(rule, kStart, kStart + years{5}, 3);
  const WallTime end = kStart + years{5};
  CHECK(many == std::vector<WallTime>{floor<seconds>(end) - 2s, floor<seconds>(end) - 1s,
                                      floor<seconds>(end)});
  CHECK(missed(rule, kStart, kStart, 32).empty());
  CHECK(missed(rule, kStart, kStart - 1h, 32).empty());
  CHECK(missed(every("3d"), kStart, kStart + 10 * 24h, 32).size() == 3);
  CHECK(missed(rule, kStart, kStart + 5s, 0).empty());
}

TEST_CASE(
    "firing: jitter is the same after a restart, differs between nodes, and keeps its bound") {
  const NodeId one{"n-000000000001"};
  const NodeId two{"n-000000000002"};
  CHECK(jitter_of("s-a", kStart, one, 5min) == jitter_of("s-a", kStart, one, 5min));
  // A fixed value: another hash would move every schedule in the world.
  CHECK(jitter_of("s-a", kStart, one, 5min) == Millis{134'457});
  std::set<Millis> seen;
  for (int i = 0; i < 1000; ++i) {
    const Millis jitter = jitter_of("s-a", kStart + i * 1min, two, 10ms);
    CHECK(jitter >= 0ms);
    CHECK(jitter <= 10ms);
    seen.insert(jitter);
  }
  CHECK(seen.size() == 11);
  CHECK(jitter_of("s-a", kStart, one, 0ms) == 0ms);
}

TEST_CASE("firing: of several that are due at once the catch-up rule says which run") {
  using enum Verdict;
  const std::vector<WallTime> three{kStart, kStart + 1h, kStart + 2h};
  const WallTime soon = kStart + 2h + 1s;
  const WallTime later = kStart + 2h + 61s;
  CHECK(judge_due(three, {soon}, CatchUp::kNone) == std::vector{kMissed, kMissed, kOnTime});
  CHECK(judge_due(three, {soon}, CatchUp::kLast) == std::vector{kMissed, kMissed, kLate});
  CHECK(judge_due(three, {soon}, CatchUp::kAll) == std::vector{kLate, kLate, kLate});
  CHECK(judge_due(three, {later}, CatchUp::kNone) == std::vector{kMissed, kMissed, kMissed});
  CHECK(judge_due(three, {later}, CatchUp::kLast) == std::vector{kMissed, kMissed, kLate});
  CHECK(judge_due(three, {later}, CatchUp::kAll) == std::vector{kLate, kLate, kLate});
  CHECK(judge_due({}, {later}, CatchUp::kAll).empty());
}

TEST_CASE("firing: a single one is on time for a minute, unless the node was not up when it came") {
  using enum Verdict;
  const std::vector<WallTime> one{kStart};
  const Now before{kStart + 1s, kStart - 1ms};
  const Now after{kStart + 1s, kStart};
  for (const CatchUp kind : {CatchUp::kNone, CatchUp::kLast, CatchUp::kAll})
    CHECK(judge_due(one, before, kind) == std::vector{kOnTime});
  CHECK(judge_due(one, after, CatchUp::kNone) == std::vector{kOnTime});
  CHECK(judge_due(one, after, CatchUp::kLast) == std::vector{kLate});
  CHECK(judge_due(one, after, CatchUp::kAll) == std::vector{kLate});
}

TEST_CASE("firing: at most 32 are caught up, the newest of them") {
  const std::vector<WallTime> due = upcoming(every("1s"), kStart, 40);
  const auto verdicts = judge_due(due, {kStart + 1h}, CatchUp::kAll);
  for (std::size_t i = 0; i < due.size(); ++i)
    CHECK(verdicts[i] == (i < 8 ? Verdict::kMissed : Verdict::kLate));
}

TEST_CASE("firing: the names of the kinds") {
  for (const char* name : {"none", "last", "all"}) CHECK(catch_up_name(*catch_up(name)) == name);
  CHECK_FALSE(catch_up("most"));
  CHECK(shortest_gap(std::vector{kStart, kStart + 1h, kStart + 61min}) == 1min);
  CHECK_FALSE(shortest_gap(std::vector{kStart}));
}
