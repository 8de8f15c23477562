// The sub-commands of `rexec schedule`, which are in files of their own: adding one, when it fires,
// and looking at it and changing it.
#pragma once

#include "cli/line/verbs.hpp"
#include "cli/verbs/schedule_rule.hpp"

namespace rexec::cli {

extern const Verb schedule_add_verb;                     // schedule_add
extern const Verb schedule_next_verb;                    // schedule_next
extern const Verb schedule_ls_verb, schedule_show_verb;  // schedule_show

}  // namespace rexec::cli
