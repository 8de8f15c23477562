// The values come from CMake: REXEC_VERSION, REXEC_COMMIT and REXEC_BUILD_TYPE in CMakeLists.txt.
#include "src/base/version.hpp"

#ifndef REXEC_VERSION
#define REXEC_VERSION "0.1.0"
#endif
#ifndef REXEC_COMMIT
#define REXEC_COMMIT ""
#endif
#ifndef REXEC_BUILD_TYPE
#define REXEC_BUILD_TYPE "unknown"
#endif

namespace rexec {

Version build_version() {
  constexpr std::string_view commit = REXEC_COMMIT;
  return {REXEC_VERSION, commit.empty() ? "unknown" : commit, REXEC_BUILD_TYPE, __VERSION__};
}

}  // namespace rexec
