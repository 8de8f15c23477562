// Places at which a test can make a process die, wait or meet an error. The shipped binary links
// fail_point.cpp, where both functions do nothing; build/rexec-faulty links tests/faulty instead,
// which is driven by REXEC_FAIL. No behaviour may depend on anything here: a point marks a moment
// between two effects, that is all.
#pragma once

#include <cstdint>

#include "src/base/fail_point_list.hpp"

namespace rexec {

#define REXEC_FAIL_CONSTANT(constant, name, meaning) constant,
enum class FailPoint : std::uint8_t { REXEC_FAIL_POINTS(REXEC_FAIL_CONSTANT) };
#undef REXEC_FAIL_CONSTANT

// Passing the point. Safe after fork and before exec.
void fail_point(FailPoint point);
// 0, or the errno that the call before or after it is to pretend.
int fail_errno_at(FailPoint point);

}  // namespace rexec
