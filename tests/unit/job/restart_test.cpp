#include "src/job/spawner/restart.hpp"

#include <doctest/doctest.h>

namespace rexec::job {
namespace {

EndRecord ended(Outcome outcome, int code = 1, std::uint32_t attempt = 1) {
  EndRecord record;
  record.key = {JobId{"j-0123456789ab"}, attempt};
  record.outcome = outcome;
  record.code = code;
  record.started_ms = 1'000'000;
  record.ended_ms = 1'005'000;
  return record;
}

constexpr RestartPolicy kNever{};
constexpr RestartPolicy kOnFailure{Restart::kOnFailure, 0};
constexpr RestartPolicy kAlways{Restart::kAlways, 0};

TEST_CASE("restart: which end is followed by another attempt") {
  struct Row {
    EndRecord record;
    bool on_failure, always;
  };
  const Row rows[] = {
      {ended(Outcome::kExited, 0), false, true},
      {ended(Outcome::kExited, 3), true, true},
      {ended(Outcome::kSignaled, 137), true, true},
      {ended(Outcome::kTimeout, 124), true, true},
      {ended(Outcome::kLost, 121), true, true},
      {ended(Outcome::kNotStarted, 127), true, true},
      {ended(Outcome::kStopped, 143), false, false},
      {ended(Outcome::kDenied, 120), false, false},
      {ended(Outcome::kUnreachable, 125), false, false},
  };
  for (const Row& row : rows) {
    CAPTURE(outcome_name(row.record.outcome));
    CHECK_FALSE(next_attempt(kNever, row.record, {}));
    CHECK(next_attempt(kOnFailure, row.record, {}).has_value() == row.on_failure);
    CHECK(next_attempt(kAlways, row.record, {}).has_value() == row.always);
    CHECK_FALSE(next_attempt(kAlways, row.record, {.halted = true}));
  }
}

TEST_CASE("restart: the budget counts restarts, not attempts") {
  const RestartPolicy twice{Restart::kOnFailure, 2};
  CHECK(next_attempt(twice, ended(Outcome::kExited, 1, 1), {})->attempt == 2);
  CHECK(next_attempt(twice, ended(Outcome::kExited, 1, 2), {})->attempt == 3);
  CHECK_FALSE(next_attempt(twice, ended(Outcome::kExited, 1, 3), {}));
}

TEST_CASE("restart: pauses double from a second to five minutes, a tenth more or less") {
  const AttemptKey key{JobId{"j-0123456789ab"}, 1};
  const std::uint64_t nominal[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300};
  for (std::uint32_t streak = 0; streak < std::size(nominal); ++streak) {
    CHECK(pause_before_next(key, streak) >= nominal[streak] * 900);
    CHECK(pause_before_next(key, streak) <= nominal[streak] * 1100);
  }
  CHECK(pause_before_next(key, ~0U) <= kLongestPauseMs * 11 / 10);
}

TEST_CASE("restart: the same directory always gives the same answer, another job another pause") {
  const auto first = next_attempt(kAlways, ended(Outcome::kExited), {.streak = 5});
  const auto again = next_attempt(kAlways, ended(Outcome::kExited), {.streak = 5});
  CHECK(first->at_ms == again->at_ms);
  CHECK(first->streak == 6);
  int different = 0;
  for (std::uint32_t i = 1; i < 20; ++i)
    different += pause_before_next({JobId{"j-0123456789ab"}, i}, 5) !=
                 pause_before_next({JobId{"j-0123456789ab"}, i + 1}, 5);
  CHECK(different > 10);
}

TEST_CASE("restart: ten minutes of health and the pauses begin anew") {
  EndRecord healthy = ended(Outcome::kSignaled);
  healthy.ended_ms = healthy.started_ms + kHealthyMs;
  const auto next = next_attempt(kAlways, healthy, {.streak = 8});
  REQUIRE(next);
  CHECK(next->streak == 1);
  CHECK(next->at_ms - healthy.ended_ms <= kFirstPauseMs * 11 / 10);
  // A clock that was set back says nothing about health.
  healthy.ended_ms = healthy.started_ms - 1;
  CHECK(next_attempt(kAlways, healthy, {.streak = 8})->streak == 9);
}

}  // namespace
}  // namespace rexec::job
