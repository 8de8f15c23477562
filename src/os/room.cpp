// See room.hpp.
#include "src/os/room.hpp"

#include <fcntl.h>
#include <sys/statvfs.h>

#include <cerrno>

namespace rexec::os {

bool reserve(int fd, std::size_t bytes) {
  return ::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes)) == 0 ||
         (errno != ENOSPC && errno != EDQUOT);
}

std::uint64_t free_bytes(int fd) {
  struct statvfs space{};
  if (::fstatvfs(fd, &space) != 0) return ~std::uint64_t{0};
  return std::uint64_t{space.f_bavail} * space.f_frsize;
}

std::uint64_t file_system_bytes(const std::string& directory) {
  struct statvfs space{};
  if (::statvfs(directory.c_str(), &space) != 0) return ~std::uint64_t{0};
  return std::uint64_t{space.f_blocks} * space.f_frsize;
}

}  // namespace rexec::os
