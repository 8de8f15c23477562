// Room on a disk: how much there is, and a little that is kept for what must be written when there
// is none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace rexec::os {

// Room for that many bytes of a file that stays empty: what is written into it later, up to there,
// finds its place on a full disk too. True where the file system cannot promise any.
bool reserve(int fd, std::size_t bytes);
// What others than root may still write on the file system of that descriptor; all there is when
// that cannot be asked.
std::uint64_t free_bytes(int fd);
// The size of the file system that the directory is on; the greatest number when that cannot be
// asked.
std::uint64_t file_system_bytes(const std::string& directory);

}  // namespace rexec::os
