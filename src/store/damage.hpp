// The one wording for a damaged database: which file, what is wrong with it, how to go on.
// Internal.
#pragma once

#include <string>

#include "src/base/error.hpp"

namespace rexec::store {

inline constexpr const char* kDatabaseName = "controller.db";

// kStore "<path> is damaged: <why>", with the restore command for its directory as the hint.
Error damaged(const std::string& path, const std::string& why);

}  // namespace rexec::store
