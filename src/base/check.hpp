// A broken invariant of our own is a bug: say where and stop. Not for expected outcomes (Result)
// and not for anything that remote input could trip.
#pragma once

#include <source_location>

namespace rexec {
[[noreturn]] void check_failed(const char* what, std::source_location where);
// Always compiled in. One condition each.
inline void check(bool holds, const char* what = "invariant",
                  std::source_location where = std::source_location::current()) {
  if (!holds) [[unlikely]] check_failed(what, where);
}
}  // namespace rexec
