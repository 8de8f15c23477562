// --help as text, made from the tables of verbs and flags. Pure. The manual pages say more; a test
// holds both to the same flags.
#pragma once

#include <string>

#include "cli/line/verbs.hpp"

namespace rexec::cli {

// `rexec` and `rexec help`: all visible verbs and the global flags.
std::string overview();
// `rexec VERB --help`; `name` is the full one ("node ls"). A noun lists its sub-commands.
std::string verb_help(const Verb& verb, const std::string& name);

}  // namespace rexec::cli
