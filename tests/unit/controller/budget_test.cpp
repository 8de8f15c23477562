// Who may take how much, and that it comes back.
#include "src/controller/core/budget.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <vector>

using namespace rexec;
using namespace rexec::controller;

namespace {

const UserId kAnn{"u-ann"}, kBob{"u-bob"}, kEve{"u-eve"};

// Ten for each, twenty for all.
Budget small() {
  std::array<Limit, kResources> limits;
  limits.fill({10, 20});
  return Budget(limits);
}

}  // namespace

TEST_CASE("budget: what a share had is there again when it goes") {
  Budget budget = small();
  {
    const auto share = budget.take(kAnn, Resource::kJobs, 10);
    REQUIRE(share);
    CHECK(budget.used(kAnn, Resource::kJobs) == 10);
    CHECK_FALSE(budget.take(kAnn, Resource::kJobs, 1));
    CHECK(budget.take(kAnn, Resource::kSpecs, 1));  // another resource
    CHECK(budget.take(kBob, Resource::kJobs, 10));  // another user
  }
  CHECK(budget.used_by_all(Resource::kJobs) == 0);
  CHECK(budget.take(kAnn, Resource::kJobs, 10));
}

TEST_CASE("budget: a refusal says what there is, the limit and what to do") {
  Budget budget;
  const auto some = budget.take(kAnn, Resource::kUploads, 60 << 20);
  const auto refused = budget.take(kAnn, Resource::kUploads, 15 << 20);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::kLimit);
  CHECK(refused.error().message ==
        "your commands of unfinished submits are 60 MiB, with this they would be 75 MiB; the limit "
        "for one user is 64 MiB");
  CHECK_FALSE(refused.error().hint.empty());
}

TEST_CASE("budget: what is moved is counted once, and a share may outlive the budget") {
  std::optional<Budget> budget(small());
  auto first = budget->take(kAnn, Resource::kJobs, 3);
  REQUIRE(first);
  Share second = std::move(*first);
  CHECK(budget->used(kAnn, Resource::kJobs) == 3);
  second = budget->hold(kBob, Resource::kJobs, 4);
  CHECK(budget->used(kAnn, Resource::kJobs) == 0);
  CHECK(second.amount() == 4);
  budget.reset();
}

TEST_CASE("budget: when all have all there is, an equal part is had by whoever has less") {
  Budget budget = small();
  std::vector<Share> shares;
  const auto take = [&](const UserId& user, std::uint64_t amount) {
    auto share = budget.take(user, Resource::kSpecs, amount);
    if (!share) return false;
    shares.push_back(std::move(*share));
    return true;
  };
  CHECK(take(kAnn, 10));
  CHECK(take(kBob, 10));
  CHECK(budget.used_by_all(Resource::kSpecs) == 20);
  CHECK_FALSE(take(kAnn, 1));
  CHECK(budget.left(kEve, Resource::kSpecs) == 6);  // a third of twenty
  CHECK(take(kEve, 6));
  CHECK_FALSE(take(kEve, 1));
  const auto refused = budget.take(kEve, Resource::kSpecs, 1);
  CHECK(refused.error().message.find("of all users") != std::string::npos);
}

TEST_CASE("budget: what was there before is held beyond the limit, and nothing more is had") {
  Budget budget = small();
  const Share restored = budget.hold(kAnn, Resource::kSchedules, 50);
  CHECK(budget.left(kAnn, Resource::kSchedules) == 0);
  CHECK_FALSE(budget.take(kAnn, Resource::kSchedules, 1));
  CHECK(budget.take(kBob, Resource::kSchedules, 10));
}
