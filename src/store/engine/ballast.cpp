// See ballast.hpp.
#include "src/store/engine/ballast.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <utility>

namespace rexec::store {

Ballast::Ballast(std::string directory, std::size_t bytes, const std::string& name)
    : directory_(std::move(directory)), path_(directory_ + "/" + name), bytes_(bytes) {
  struct stat status{};
  present_ = bytes_ > 0 && stat(path_.c_str(), &status) == 0 &&
             static_cast<std::size_t>(status.st_size) >= bytes_;
}

bool Ballast::ensure() {
  if (!missing()) return true;
  struct statvfs space{};
  if (statvfs(directory_.c_str(), &space) != 0) return false;
  if (static_cast<unsigned long long>(space.f_bavail) * space.f_frsize < 2ULL * bytes_)
    return false;
  present_ = allocate();
  if (!present_) unlink(path_.c_str());
  return present_;
}

bool Ballast::allocate() {
  const int fd = open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return false;
  const bool made = posix_fallocate(fd, 0, static_cast<off_t>(bytes_)) == 0;
  close(fd);
  return made;
}

bool Ballast::release() {
  if (!present_) return false;
  present_ = false;
  return unlink(path_.c_str()) == 0;
}

}  // namespace rexec::store
