// Which finished attempts go: reported ones older than seven days, and the oldest of them beyond
// one gibibyte in total. The choice is a pure function; what was not reported is never chosen.
#pragma once

#include <cstdint>
#include <vector>

#include "src/base/clock.hpp"
#include "src/base/ids.hpp"

namespace rexec::job {

struct Kept {
  AttemptKey key;
  std::uint64_t bytes = 0;  // on disk
  WallTime reported;
};
struct RetentionLimits {
  std::uint64_t bytes = 1ull << 30;
  Millis age = std::chrono::hours(7 * 24);
};

// Those to remove, oldest first.
std::vector<AttemptKey> choose_expired(std::vector<Kept> kept, const RetentionLimits& limits,
                                       WallTime now);
// The finished and reported attempt in this directory; bytes 0 and reported at the epoch when it is
// not one.
Kept measure_attempt(const AttemptKey& key, int dir_fd);

}  // namespace rexec::job
