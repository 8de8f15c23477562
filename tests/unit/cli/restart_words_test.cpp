#include "cli/run/restart_words.hpp"

#include <doctest/doctest.h>

#include "src/base/clock.hpp"

using namespace rexec;
using namespace rexec::cli;

TEST_CASE("restart words: which attempt, when, and why") {
  const auto now = static_cast<std::uint64_t>(wall_now().time_since_epoch().count());
  CHECK(restart_words({{"outcome", "exited"}, {"code", 1}}, 2, 1) == "attempt 2 starts: exited 1");
  const std::string soon = restart_words({{"outcome", "signaled"}, {"signal", 9}}, 3, now + 90'000);
  CHECK(soon.starts_with("attempt 3 starts in "));
  CHECK(soon.ends_with(" s: ended by signal 9"));
  CHECK(restart_words({{"outcome", "timeout"}, {"reason", "idle"}}, 2, 1) ==
        "attempt 2 starts: idle for too long");
  CHECK(restart_words({{"outcome", "lost"},
                       {"reason",
                        "re\x1b"
                        "boot"}},
                      2, 1)
            .find('\x1b') == std::string::npos);
}
