// The build's own description.
#include "src/base/version.hpp"

#include <doctest/doctest.h>

TEST_CASE("version: every part is known or says that it is not") {
  const rexec::Version version = rexec::build_version();
  CHECK(version.version == "0.1.0");
  CHECK_FALSE(version.commit.empty());
  CHECK_FALSE(version.build_type.empty());
  CHECK_FALSE(version.compiler.empty());
}
