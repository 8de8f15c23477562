// `rexec controller backup|restore`, told apart from controller.cpp's init, run and status.
#pragma once

#include "cli/verbs.hpp"

namespace rexec::cli {

extern const Verb controller_backup_verb;
extern const Verb controller_restore_verb;

}  // namespace rexec::cli
