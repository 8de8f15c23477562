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
// The same with every earlier attempt of their jobs, in the order in which they may go: while an
// attempt is there the node believes that nothing follows it unless the next is there, too, and
// would begin that again.
std::vector<AttemptKey> with_predecessors(const std::vector<AttemptKey>& expired,
                                          const std::vector<AttemptKey>& all);
// The finished and reported attempt in this directory; bytes 0 and reported at the epoch when it is
// not one.
Kept measure_attempt(const AttemptKey& key, int dir_fd);

}  // namespace rexec::job
