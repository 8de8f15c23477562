// What the shipped binary has of them: nothing. A file of its own, because the linker takes it from
// the archive only where nobody else has defined the two.
#include "src/base/fail_point.hpp"

namespace rexec {

void fail_point(FailPoint) {}
int fail_errno_at(FailPoint) { return 0; }

}  // namespace rexec
