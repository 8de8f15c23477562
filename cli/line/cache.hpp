// What completion offers for nodes and jobs: the names that the last listing showed, one small file
// per context. Completion never dials; whoever lists remembers. Losing the file costs nothing, so
// it is written without a sync and every failure is silent but with --verbose.
#pragma once

#include <string>
#include <vector>

#include "cli/line/verbs.hpp"

namespace rexec::cli {

enum class Remembered { kNodes, kJobs };

// Replaces the list.
void remember(const Globals& globals, Remembered what, const std::vector<std::string>& names);
// Puts new ones in front; at most 200 are kept.
void remember_more(const Globals& globals, Remembered what, const std::vector<std::string>& names);
// Empty when nothing is known.
std::vector<std::string> recall(const Globals& globals, Remembered what);

}  // namespace rexec::cli
