// Reports a broken invariant with write(2) only, as the heap may be what is broken, and aborts.
#include "src/base/check.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace rexec {

void check_failed(const char* what, std::source_location where) {
  char line[512];
  const int length =
      std::snprintf(line, sizeof line, "rexec: bug: %s does not hold at %s:%u (%s)\n", what,
                    where.file_name(), static_cast<unsigned>(where.line()), where.function_name());
  if (length > 0) {
    const auto size = static_cast<std::size_t>(length);
    [[maybe_unused]] const ssize_t written =
        ::write(2, line, size < sizeof line ? size : sizeof line - 1);
  }
  std::abort();
}

}  // namespace rexec
