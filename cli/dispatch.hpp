// From argv to a verb: global flags in front, the verb, its sub-command, its flags and words.
// Called by main with everything after argv[0].
#pragma once

#include <span>

namespace rexec::cli {

// The exit status of the process.
int dispatch(std::span<const char* const> argv);

}  // namespace rexec::cli
