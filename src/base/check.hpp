// A broken invariant of our own is a bug: say where and stop. Remote input must never be able to trip one.
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
