// How many notices of one job are said: what a node tells without end would fill the user's log.
// A job that is restarted as fast as a restart can be has all of its attempts told. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "src/base/clock.hpp"

namespace rexec::cli {

class NoticeLimit {
 public:
  static constexpr std::int64_t kAtOnce = 20;
  static constexpr Millis kOneIn{500};  // the shortest pause before an attempt is 0.9 s

  // False: this one is left out and counted.
  bool admit(BootTime now) {
    const std::int64_t came = (now - filled_) / kOneIn;
    if (came > 0) {
      left_ = std::min(kAtOnce, left_ + came);
      filled_ = now;
    }
    const bool is_admitted = left_ > 0;
    if (is_admitted)
      --left_;
    else
      ++left_out_;
    return is_admitted;
  }
  std::uint64_t take_left_out() { return std::exchange(left_out_, 0); }

 private:
  std::int64_t left_ = kAtOnce;
  std::uint64_t left_out_ = 0;
  BootTime filled_{};
};

}  // namespace rexec::cli
