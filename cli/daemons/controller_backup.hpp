// `rexec controller backup|restore|check`, told apart from controller.cpp's init, run, install and
// status.
#pragma once

#include "cli/line/verbs.hpp"

namespace rexec::cli {

extern const Verb controller_backup_verb;
extern const Verb controller_restore_verb;
extern const Verb controller_check_verb;

}  // namespace rexec::cli
