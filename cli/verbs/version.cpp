// `rexec version`: what this binary is.
#include "src/base/version.hpp"

#include "cli/line/errors.hpp"
#include "cli/line/listing.hpp"

namespace rexec::cli {
namespace {

int run(const Invocation& invocation) {
  const Version version = build_version();
  if (invocation.globals.format == Format::kJson || invocation.globals.format == Format::kJsonl) {
    return print_object(invocation.globals, {{"version", version.version},
                                             {"commit", version.commit},
                                             {"build", version.build_type},
                                             {"compiler", version.compiler},
                                             {"protocol", 1}});
  }
  return print_out("rexec " + std::string(version.version) + " (" + std::string(version.commit) +
                   ", " + std::string(version.build_type) + ", " + std::string(version.compiler) +
                   ")\n");
}

}  // namespace

constinit const Verb version_verb{
    .name = "version", .summary = "the version of this binary", .run = run};

}  // namespace rexec::cli
