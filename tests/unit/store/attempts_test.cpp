#include "src/store/tables/attempts.hpp"

#include <doctest/doctest.h>

#include "tests/unit/store/fixture.hpp"

namespace rexec::store {
namespace {

TEST_CASE(
    "attempts: the newest are kept, told again they are replaced, and they go with their job") {
  TempDir directory;
  const auto store = open_store(directory.path);
  const JobId job{"j-0123456789ab"}, other{"j-0123456789ac"};
  REQUIRE(store->run_now([&](Database& db) {
    put_attempt(db, {other, 1, "{}"});
    for (std::uint32_t i = 1; i <= kAttemptsKept + 5; ++i) put_attempt(db, {job, i, "{}"});
    put_attempt(db, {job, kAttemptsKept + 5, R"({"code":1})"});
    const auto rows = list_attempts(db, job);
    REQUIRE(rows.size() == kAttemptsKept);
    CHECK(rows.front().attempt == 6);
    CHECK(rows.back().record == R"({"code":1})");
    remove_job(db, job);
    CHECK(list_attempts(db, job).empty());
    CHECK(list_attempts(db, other).size() == 1);
  }));
}

TEST_CASE("attempts: as few are kept when a node tells them backwards") {
  TempDir directory;
  const auto store = open_store(directory.path);
  const JobId job{"j-0123456789ab"};
  REQUIRE(store->run_now([&](Database& db) {
    for (std::uint32_t i = 0; i < 3 * kAttemptsKept; ++i)
      put_attempt(db, {job, 1'000'000 - i, "{}"});
    const auto rows = list_attempts(db, job);
    REQUIRE(rows.size() == kAttemptsKept);
    CHECK(rows.back().attempt == 1'000'000);
    CHECK(rows.front().attempt == 1'000'000 - kAttemptsKept + 1);
  }));
}

}  // namespace
}  // namespace rexec::store
