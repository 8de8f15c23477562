// What others can make a daemon log is logged so often at most: a few lines at once, then one in a
// while. Pure; one of these for each of them and each kind of line.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "src/base/clock.hpp"

namespace rexec {

class LogLimit {
 public:
  static constexpr std::uint64_t kAtOnce = 8;
  static constexpr Nanos kOneIn = std::chrono::minutes(1);

  // nullopt: this one is not logged. Else it is, and so many before it were not.
  std::optional<std::uint64_t> admit(BootTime now) {
    const auto came = static_cast<std::uint64_t>((now - filled_) / kOneIn);
    if (came > 0) {
      left_ = std::min(kAtOnce, left_ + came);
      filled_ = now;
    }
    if (left_ == 0) {
      ++unsaid_;
      return std::nullopt;
    }
    --left_;
    const std::uint64_t unsaid = unsaid_;
    unsaid_ = 0;
    return unsaid;
  }

 private:
  std::uint64_t left_ = kAtOnce;
  std::uint64_t unsaid_ = 0;
  BootTime filled_{};
};

}  // namespace rexec
