// What one may take at once, and how it comes back.
#include "src/controller/core/bucket.hpp"

#include <doctest/doctest.h>

using namespace rexec;
using namespace rexec::controller;
using std::chrono::minutes;

TEST_CASE("bucket: so many are had at once, then each when one has come back") {
  BootTime now{std::chrono::hours(1)};
  Bucket bucket{minutes(3)};
  for (int taken = 0; taken < 3; ++taken) {
    CHECK(bucket.wait_for(minutes(1), now) == Nanos::zero());
    bucket.take(minutes(1), now);
  }
  CHECK(bucket.wait_for(minutes(1), now) == minutes(1));
  now += std::chrono::seconds(20);
  CHECK(bucket.wait_for(minutes(1), now) == std::chrono::seconds(40));
  now += std::chrono::seconds(40);
  CHECK(bucket.wait_for(minutes(1), now) == Nanos::zero());
  bucket.take(minutes(1), now);
  CHECK(bucket.wait_for(minutes(1), now) == minutes(1));
}

TEST_CASE("bucket: it is full after a while, and never fuller") {
  BootTime now{std::chrono::hours(1)};
  Bucket bucket{minutes(2)};
  CHECK(bucket.is_full(now));
  bucket.take(minutes(1), now);
  CHECK_FALSE(bucket.is_full(now));
  now += minutes(1);
  CHECK(bucket.is_full(now));
  now += minutes(60);
  bucket.take(minutes(2), now);
  CHECK(bucket.wait_for(minutes(1), now) == minutes(1));
}

TEST_CASE("bucket: what was taken without asking is owed once, however often") {
  BootTime now{std::chrono::hours(1)};
  Bucket bucket{minutes(2)};
  for (int taken = 0; taken < 1000; ++taken) bucket.take(minutes(4), now);
  CHECK(bucket.wait_for(Nanos::zero(), now) == minutes(4));
}
