// When a user's ended jobs take too much of the disk, and whose are to go.
#include "src/controller/state/ended_ledger.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace rexec;
using namespace rexec::controller;
using Why = EndedLedger::Why;
using Page = EndedLedger::Page;

namespace {

const UserId kAnn{"u-ann"}, kBob{"u-bob"}, kEve{"u-eve"};
constexpr EndedLimits kLimits{3200, 6400};  // a thirty-second is 100, or 200

store::EndedJob job(const UserId& owner, std::int64_t ended, std::uint64_t bytes,
                    std::uint64_t spec = 0, std::uint64_t spec_bytes = 0) {
  return {owner, {ended, ended}, bytes, spec, spec_bytes};
}

// One that has looked at these.
EndedLedger summed(const std::vector<store::EndedJob>& jobs, EndedLimits limits = kLimits) {
  EndedLedger ledger(limits);
  ledger.sum(jobs, Page::kLast);
  return ledger;
}

store::DroppedEnded step(std::int64_t to, bool is_last = false) {
  store::DroppedEnded out;
  out.next = {to, to};
  out.is_last = is_last;
  return out;
}

}  // namespace

TEST_CASE("ended ledger: a user has two gibibytes or an eighth of the disk, all have half of it") {
  constexpr std::uint64_t kGib = 1ULL << 30;
  const auto is = [](EndedLimits limits, std::uint64_t each, std::uint64_t all) {
    return limits.each == each && limits.all == all;
  };
  CHECK(is(ended_limits(100 * kGib, {}), 2 * kGib, 50 * kGib));
  CHECK(is(ended_limits(4 * kGib, {}), kGib / 2, 2 * kGib));
  CHECK(is(ended_limits(100 * kGib, 5 * kGib), 5 * kGib, 50 * kGib));
}

TEST_CASE("ended ledger: nobody looks at every job before the whole database passes a limit") {
  EndedLedger ledger(kLimits);
  ledger.database_has(3200);
  CHECK_FALSE(ledger.wants_sum());
  CHECK_FALSE(ledger.next_drop());
  CHECK(ledger.measure() == store::Measure::kDatabase);
  ledger.database_has(3201);
  CHECK(ledger.wants_sum());
  CHECK_FALSE(ledger.next_drop());
  ledger.sum({}, Page::kLast);
  CHECK_FALSE(ledger.wants_sum());
  CHECK(ledger.used_by_all() == 0);
}

TEST_CASE("ended ledger: far from a limit most operations look at nothing, near it all look") {
  constexpr std::uint64_t kMib = 1 << 20;
  EndedLedger ledger({1024 * kMib, 2048 * kMib});
  const auto looks = [&] {
    int count = 0;
    for (int i = 0; i < 320; ++i) count += ledger.measure() == store::Measure::kDatabase ? 1 : 0;
    return count;
  };
  ledger.database_has(100 * kMib);
  CHECK(looks() == 10);
  ledger.database_has(1000 * kMib);
  CHECK(looks() == 320);
  ledger.database_has(1025 * kMib);
  ledger.begin_sum();
  CHECK(ledger.measure() == store::Measure::kEachJob);
}

TEST_CASE("ended ledger: what is posted after the first page was asked for is measured") {
  EndedLedger ledger(kLimits);
  ledger.database_has(3201);
  ledger.begin_sum();
  CHECK(ledger.measure() == store::Measure::kEachJob);
  CHECK(ledger.wants_sum());
  ledger.sum(std::vector{job(kAnn, 1, 10)}, Page::kLast);
  ledger.ended(job(kAnn, 2, 20));
  CHECK(ledger.used(kAnn) == 30);
}

TEST_CASE("ended ledger: what ends and goes while the sum is made counts once") {
  EndedLedger ledger(kLimits);
  const std::vector first{job(kAnn, 1, 10), job(kBob, 2, 20, 9, 500)};
  ledger.sum(first, Page::kMore);
  CHECK(ledger.summed_to() == store::EndPlace{2, 2});
  ledger.ended(job(kAnn, 50, 40));                // the sum comes to it
  ledger.ended(job(kAnn, 1, 5));                  // its clock was put back: the sum was there
  ledger.freed({job(kBob, 30, 7), {}});           // it will not find this one
  ledger.freed({job(kAnn, 1, 10), {}});           // it has found this one
  ledger.command_kept(job(kAnn, 40, 1, 8, 300));  // it will find that
  const std::vector second{job(kAnn, 40, 1, 8, 300), job(kAnn, 50, 40)};
  ledger.sum(second, Page::kLast);
  CHECK(ledger.used(kAnn) == 5 + 1 + 300 + 40);
  CHECK(ledger.used(kBob) == 520);
  CHECK(ledger.used_by_all() == ledger.used(kAnn) + ledger.used(kBob));
}

TEST_CASE("ended ledger: a large command counts once, with a user who has a job of it") {
  EndedLedger ledger = summed({job(kAnn, 1, 10, 7, 500), job(kAnn, 2, 10, 7, 500)});
  ledger.ended(job(kBob, 3, 10, 7, 500));
  ledger.command_kept(job(kBob, 3, 10, 7, 500));
  CHECK(ledger.used(kAnn) == 520);
  CHECK(ledger.used(kBob) == 10);
  ledger.freed({job(kAnn, 1, 10, 7, 500), kAnn});
  CHECK(ledger.used(kAnn) == 510);
  ledger.freed({job(kAnn, 2, 10, 7, 500), kBob});
  CHECK(ledger.used(kAnn) == 0);
  CHECK(ledger.used(kBob) == 510);
  ledger.freed({job(kBob, 3, 10, 7, 500), {}});
  CHECK(ledger.used_by_all() == 0);
  ledger.command_kept(job(kBob, 3, 10, 7, 500));
  CHECK(ledger.used(kBob) == 500);
}

TEST_CASE("ended ledger: beyond a user's limit that user's oldest go until there is some room") {
  EndedLedger ledger = summed({job(kBob, 1, 3200), job(kAnn, 2, 1600), job(kAnn, 3, 1600)});
  CHECK_FALSE(ledger.next_drop());
  ledger.ended(job(kAnn, 4, 1));
  auto drop = ledger.next_drop();
  REQUIRE(drop);
  CHECK((drop->why == Why::kOneUser && drop->owner == kAnn && drop->bytes == 101));
  CHECK((drop->after < store::EndPlace{2, 2} && drop->after >= store::EndPlace{1, 1}));
  CHECK(drop->keyed == store::Keyed::kStay);
  ledger.freed({job(kAnn, 2, 50), {}});
  ledger.dropped(kAnn, step(2));
  drop = ledger.next_drop();  // below the limit, but there is no room yet
  REQUIRE(drop);
  CHECK((drop->bytes == 51 && drop->after == store::EndPlace{2, 2}));
  ledger.freed({job(kAnn, 3, 51), {}});
  ledger.dropped(kAnn, step(3));
  CHECK_FALSE(ledger.next_drop());
  ledger.ended(job(kAnn, 5, 100));
  CHECK_FALSE(ledger.next_drop());
}

TEST_CASE("ended ledger: jobs with a key go last, from the first of them on") {
  EndedLedger ledger = summed({job(kAnn, 1, 2000), job(kAnn, 2, 2000)});
  store::DroppedEnded looked = step(2, true);
  looked.before = store::EndPlace{1, 1};
  CHECK(ledger.next_drop()->keyed == store::Keyed::kStay);
  ledger.dropped(kAnn, looked);
  auto drop = ledger.next_drop();
  REQUIRE(drop);
  CHECK((drop->keyed == store::Keyed::kGo && drop->after == store::EndPlace{1, 1}));
  ledger.freed({job(kAnn, 2, 2000), {}});
  ledger.dropped(kAnn, step(2, true));
  CHECK_FALSE(ledger.next_drop());
}

TEST_CASE("ended ledger: where nothing can go nobody looks again before there is more") {
  EndedLedger ledger = summed({job(kAnn, 1, 10, 7, 4000)});
  REQUIRE(ledger.next_drop());
  ledger.freed({job(kAnn, 1, 10, 7, 4000), kAnn});  // a job that runs has its command
  ledger.dropped(kAnn, step(1, true));
  CHECK_FALSE(ledger.next_drop());
  ledger.ended(job(kAnn, 2, 100));
  CHECK_FALSE(ledger.next_drop());
  ledger.ended(job(kAnn, 3, 1));
  REQUIRE(ledger.next_drop());
  CHECK(ledger.next_drop()->keyed == store::Keyed::kStay);
}

TEST_CASE("ended ledger: beyond the limit of all, those of the user who has most go") {
  EndedLedger ledger = summed({job(kAnn, 1, 3000), job(kBob, 2, 2500), job(kEve, 3, 900)});
  CHECK_FALSE(ledger.next_drop());
  ledger.ended(job(kEve, 4, 100));
  auto drop = ledger.next_drop();
  REQUIRE(drop);
  CHECK((drop->why == Why::kAllUsers && drop->owner == kAnn && drop->bytes == 300));
  ledger.freed({job(kAnn, 1, 290), {}});
  ledger.dropped(kAnn, step(1));
  drop = ledger.next_drop();
  REQUIRE(drop);
  CHECK((drop->owner == kAnn && drop->bytes == 10));
  ledger.freed({job(kAnn, 2, 10), {}});
  ledger.dropped(kAnn, step(2));
  CHECK_FALSE(ledger.next_drop());
  CHECK(ledger.used(kEve) == 1000);
}

TEST_CASE("ended ledger: of users who have as much each gives some") {
  std::vector<store::EndedJob> jobs;
  for (int i = 1; i <= 70; ++i) jobs.push_back(job(i % 2 == 0 ? kAnn : kBob, i, 100));
  EndedLedger ledger = summed(jobs, {100'000, 6400});
  std::int64_t at = 0;
  while (const auto drop = ledger.next_drop()) {
    ledger.freed({job(drop->owner, ++at, 100), {}});
    ledger.dropped(drop->owner, step(at));
    REQUIRE(at <= 8);
  }
  CHECK(at == 8);
  CHECK(ledger.used(kAnn) + ledger.used(kBob) == 6200);
  CHECK((ledger.used(kAnn) == 3100 && ledger.used(kBob) == 3100));
}
