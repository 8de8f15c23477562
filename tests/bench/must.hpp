// For programs of the bench: what cannot be done ends them, and says why.
#pragma once

#include <errno.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "src/base/error.hpp"

namespace rexec {

[[noreturn]] inline void give_up(const std::string& why) {
  std::fprintf(stderr, "%s: %s\n", program_invocation_short_name, why.c_str());
  std::exit(1);
}

template <class T>
T must(Result<T> result) {
  if (!result) give_up(result.error().message);
  return std::move(*result);
}

inline void must_do(const Result<void>& result) {
  if (!result) give_up(result.error().message);
}

}  // namespace rexec
