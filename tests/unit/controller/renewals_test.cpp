// How often a certificate may be renewed.
#include "src/controller/core/renewals.hpp"

#include <doctest/doctest.h>

using namespace rexec;
using namespace rexec::controller;

namespace {

pki::Identity holder(pki::Role role, const std::string& id) {
  pki::Identity identity;
  identity.role = role;
  identity.id = id;
  return identity;
}

int taken_at(Renewals& renewals, const pki::Identity& one, BootTime now) {
  int taken = 0;
  while (renewals.take(one, now)) ++taken;
  return taken;
}

}  // namespace

TEST_CASE("renewals: so many at once, then one a minute, each holder for himself") {
  Renewals renewals;
  BootTime now{std::chrono::hours(1)};
  const auto node = holder(pki::Role::kNode, "n-1");
  const auto user = holder(pki::Role::kUser, "u-1");
  CHECK(taken_at(renewals, node, now) == kNodeRenewals);
  CHECK(taken_at(renewals, user, now) == kUserRenewals);
  CHECK(taken_at(renewals, holder(pki::Role::kNode, "n-2"), now) == kNodeRenewals);
  now += kRenewalReturns;
  CHECK(taken_at(renewals, node, now) == 1);
  now += std::chrono::hours(24);
  CHECK(taken_at(renewals, node, now) == kNodeRenewals);
  CHECK(taken_at(renewals, user, now) == kUserRenewals);
}

TEST_CASE("renewals: who is refused hears when the next may be") {
  Renewals renewals;
  BootTime now{std::chrono::hours(1)};
  const auto node = holder(pki::Role::kNode, "n-1");
  taken_at(renewals, node, now);
  now += std::chrono::seconds(20);
  const auto refused = renewals.take(node, now);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::kLimit);
  CHECK(refused.error().message.find("again in 40s") != std::string::npos);
}

TEST_CASE("renewals: holders that renewed nothing lately are forgotten") {
  Renewals renewals;
  BootTime now{std::chrono::hours(1)};
  for (int count = 0; count < 10'000; ++count) {
    now += std::chrono::minutes(1);
    REQUIRE(renewals.take(holder(pki::Role::kNode, std::to_string(count)), now));
  }
  CHECK(renewals.size() <= 64);
}
