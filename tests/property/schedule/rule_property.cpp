// Cron rules against a minute-by-minute walk over the years 2000 to 2040 in four zones.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <map>
#include <memory>
#include <set>

#include "src/schedule/firing.hpp"
#include "tests/property/schedule/oracle.hpp"

using namespace rexec;
using namespace rexec::schedule;
using oracle::Fields;

static constexpr const char* kZones[] = {"America/New_York", "Europe/London", "Australia/Lord_Howe",
                                         "UTC"};

static const oracle::Clock& clock_of(const std::string& zone) {
  static std::map<std::string, std::unique_ptr<oracle::Clock>> clocks;
  auto& slot = clocks[zone];
  if (!slot) slot = std::make_unique<oracle::Clock>(zone);
  return *slot;
}

static WallTime wall(std::int64_t utc) { return WallTime{std::chrono::seconds{utc}}; }

// All firings in [from, until) by the code under test.
static std::vector<std::int64_t> by_rule(const Fields& fields, const std::string& zone,
                                         std::int64_t from, std::int64_t until) {
  ZoneFiles files;
  auto rule = TimeRule::make({RuleKind::kCron, fields.text(), zone, {}}, files);
  if (!rule) return {-1};
  std::vector<std::int64_t> out;
  for (auto next = rule->next(wall(from - 1)); next && *next < wall(until);
       next = rule->next(*next))
    out.push_back(std::chrono::floor<std::chrono::seconds>(*next).time_since_epoch().count());
  return out;
}

TEST_CASE("rules: every firing of 2000 to 2040 is where a walk over all minutes finds it") {
  // Inside and around the hours at which the four zones change, on all days and on few.
  const Fields kinds[] = {{{30}, {2}, {}, {}, {}},
                          {{0, 15, 30, 45}, {1, 2}, {}, {}, {}},
                          {{0}, {}, {}, {}, {0}},
                          {{5, 35}, {}, {}, {}, {}, 2},
                          {{59, 0}, {1, 3}, {1, 29, 31}, {2, 3, 10, 11}, {}},
                          {{10}, {2}, {13}, {}, {5}}};
  for (const char* zone : kZones) {
    for (const Fields& fields : kinds) {
      CAPTURE(zone);
      CAPTURE(fields.text());
      CHECK(by_rule(fields, zone, oracle::kBegin, oracle::kEnd) ==
            clock_of(zone).firings(fields, oracle::kBegin, oracle::kEnd));
    }
  }
}

static rc::Gen<std::vector<int>> any_values(int low, int high) {
  const auto some = rc::gen::map(
      rc::gen::nonEmpty(rc::gen::container<std::set<int>>(rc::gen::inRange(low, high + 1))),
      [](const std::set<int>& values) { return std::vector<int>(values.begin(), values.end()); });
  return rc::gen::oneOf(rc::gen::just(std::vector<int>{}), some);
}

static std::vector<int> hours_of_changes() {
  return *rc::gen::element(std::vector<int>{}, std::vector<int>{0, 1, 2, 3}, std::vector<int>{1},
                           std::vector<int>{2}, std::vector<int>{1, 2, 12});
}

TEST_CASE("rules: any expression, over any 40 days, fires where the walk says") {
  rc::check([] {
    const std::string zone =
        *rc::gen::elementOf(std::vector<std::string>(std::begin(kZones), std::end(kZones)));
    const Fields fields{*any_values(0, 59), hours_of_changes(), *any_values(1, 28),
                        *any_values(1, 12), *any_values(0, 6),  *rc::gen::inRange(1, 6)};
    const std::int64_t day = *rc::gen::inRange<std::int64_t>(3, 14'900);
    const std::int64_t from = oracle::kBegin + day * 86'400;
    const std::int64_t until = from + 40 * 86'400;
    RC_ASSERT(by_rule(fields, zone, from, until) == clock_of(zone).firings(fields, from, until));
  });
}

TEST_CASE("rules: from any second the next firing is the first one later") {
  rc::check([] {
    const std::string zone =
        *rc::gen::elementOf(std::vector<std::string>(std::begin(kZones), std::end(kZones)));
    const Fields fields{{0, 10, 20, 30, 40, 50}, hours_of_changes(), {}, {}, {},
                        *rc::gen::inRange(1, 4)};
    const std::int64_t at =
        oracle::kBegin + *rc::gen::inRange<std::int64_t>(5 * 86'400, 1'290'000'000);
    const std::int64_t from = at / 60 * 60 + 60;  // the first whole minute after `at`
    const auto walked = clock_of(zone).firings(fields, from, from + 2 * 86'400);
    RC_ASSERT(!walked.empty());
    ZoneFiles files;
    auto rule = TimeRule::make({RuleKind::kCron, fields.text(), zone, {}}, files);
    RC_ASSERT(rule.has_value());
    RC_ASSERT(rule->next(wall(at)) == std::optional(wall(walked.front())));
  });
}

TEST_CASE("rules: missed() agrees with asking for one after another") {
  rc::check([] {
    ZoneFiles files;
    const std::string text =
        *rc::gen::element<std::string>("* * * * *", "*/7 1-3 * * *", "0 2 * * 0");
    auto rule = TimeRule::make({RuleKind::kCron, text, "Europe/London", {}}, files);
    RC_ASSERT(rule.has_value());
    const WallTime after = wall(*rc::gen::inRange<std::int64_t>(oracle::kBegin, oracle::kEnd));
    const WallTime until = after + std::chrono::minutes(*rc::gen::inRange(0, 20'000));
    const auto keep = *rc::gen::inRange<std::size_t>(0, 40);
    std::vector<WallTime> all;
    for (auto next = rule->next(after); next && *next <= until; next = rule->next(*next))
      all.push_back(*next);
    if (all.size() > keep) all.erase(all.begin(), all.end() - static_cast<std::ptrdiff_t>(keep));
    RC_ASSERT(missed(*rule, after, until, keep) == all);
  });
}
