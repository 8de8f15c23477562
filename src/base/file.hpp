// Whole small files: read with a bound, write atomically. Not for streams or the spool.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "src/base/error.hpp"

namespace rexec {

// The whole file; kLimit when larger than max_bytes, kIo with the path otherwise.
Result<std::string> read_file(const std::string& path, std::size_t max_bytes = 1 << 20);
// Temporary in the same directory, fsync, rename, fsync of the directory. `mode` is exact, whatever
// the umask.
Result<void> write_file(const std::string& path, std::string_view content, mode_t mode);
// A private key: kKeyExposed when group or others can read it or another user (not root) owns it.
Result<std::string> read_secret_file(const std::string& path, std::size_t max_bytes = 1 << 16);
// mkdir -p with `mode` for what is made.
Result<void> make_directories(const std::string& path, mode_t mode);

}  // namespace rexec
