// How much of something one may take at once and how fast it comes back: a token bucket, kept as
// the moment when it is full again. What is put into it is counted in the time that it needs to
// come back. Pure.
#pragma once

#include <algorithm>

#include "src/base/clock.hpp"

namespace rexec::controller {

class Bucket {
 public:
  // What one who took nothing for long may take at once, in the time it needs to come back.
  explicit Bucket(Nanos most = {}) : most_(most) {}

  // How long until `cost` may be taken; zero: now.
  Nanos wait_for(Nanos cost, BootTime now) const {
    return std::max(Nanos::zero(), full_at_ - now + cost - most_);
  }
  // Whether there is something or not: it happened. What one owes is at most this one's cost.
  void take(Nanos cost, BootTime now) {
    full_at_ = std::min(std::max(full_at_, now) + cost, now + most_ + cost);
  }
  bool is_full(BootTime now) const { return full_at_ <= now; }

 private:
  Nanos most_;
  BootTime full_at_{};
};

}  // namespace rexec::controller
