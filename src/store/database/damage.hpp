// The one wording for a damaged database, and the one for a damaged backup: which file, what is
// wrong with it, how to go on. Internal.
#pragma once

#include <string>

#include "src/base/error.hpp"

namespace rexec::store {

inline constexpr const char* kDatabaseName = "controller.db";

// kStore "<path> is damaged: <why>", with the restore command for its directory as the hint.
Error damaged(const std::string& path, const std::string& why);
// kStore "<path> cannot be restored: <why>", for a file that was to be, which nobody has a copy of.
inline constexpr const char* kAnotherBackup =
    "nothing was changed; take another backup: rexec controller restore FILE";
Error damaged_backup(const std::string& path, const std::string& why);

}  // namespace rexec::store
