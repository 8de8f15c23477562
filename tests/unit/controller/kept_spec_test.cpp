// What a command takes of the budget, and who may be the last to have its bytes.
#include "src/controller/core/kept_spec.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <thread>
#include <type_traits>

using namespace rexec;
using namespace rexec::controller;

namespace {

const UserId kAnn{"u-ann"};

}  // namespace

TEST_CASE("kept spec: who has its bytes alone has nothing of the budget") {
  Budget budget;
  auto kept = std::make_shared<const KeptSpec>(budget.hold(kAnn, Resource::kSpecs, 7), "command");
  auto bytes = kept->bytes();
  CHECK(bytes.get() == &kept->text());  // no copy
  CHECK(budget.used(kAnn, Resource::kSpecs) == 7);
  kept.reset();
  CHECK(budget.used(kAnn, Resource::kSpecs) == 0);
  CHECK(*bytes == "command");
  CHECK(bytes.use_count() == 1);
  // As the store's thread does, which is the last to have them.
  std::thread([bytes = std::move(bytes)]() mutable { bytes.reset(); }).join();
  CHECK(budget.used_by_all(Resource::kSpecs) == 0);
}

// A pointer to the bytes cannot stand in for the command, nor the command for a pointer to them.
static_assert(!std::is_convertible_v<std::shared_ptr<const KeptSpec>,
                                     std::shared_ptr<const std::string>>);
