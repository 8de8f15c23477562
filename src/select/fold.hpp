// Many names as few words: n1, n2, n3 to `n[1-3]`. For people (run --fold, node ls); what it writes
// parses back to the same names.
#pragma once

#include <span>
#include <string>

namespace rexec::select {

// Folds the last number of each name; any order, duplicates once; empty for no names.
std::string fold_names(std::span<const std::string> names);

}  // namespace rexec::select
