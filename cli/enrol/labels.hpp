// --label K=V, as typed: for tokens and join.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "src/base/error.hpp"

namespace rexec::cli {

// kUsage for a key that check_name refuses or a word without "=". The last of a key wins.
Result<std::map<std::string, std::string>> parse_labels(const std::vector<std::string>& words);

}  // namespace rexec::cli
