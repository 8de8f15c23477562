// What this binary is: for `rexec version`, the hello message and bug reports.
#pragma once

#include <string_view>

namespace rexec {

struct Version {
  std::string_view version;     // "0.1.0"
  std::string_view commit;      // short git commit, or "unknown" outside a checkout
  std::string_view build_type;  // "release", "debug", with "+asan" when sanitized
  std::string_view compiler;    // "clang 19.1.7"
};

Version build_version();

}  // namespace rexec
