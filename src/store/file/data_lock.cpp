// See data_lock.hpp.
#include "src/store/file/data_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <utility>

#include "src/base/text.hpp"

namespace rexec::store {
namespace {

// From linux/magic.h. Their locks are not those that WAL needs.
constexpr std::array<unsigned, 4> kNetworkFileSystems = {0x6969, 0x517b, 0xff534d42, 0xfe534d42};

// Somebody who asks holder() has the lock for an instant.
constexpr int kTries = 20;
constexpr timespec kPause{0, 5'000'000};

pid_t read_pid(int fd) {
  char text[32] = {};
  const ssize_t size = pread(fd, text, sizeof text - 1, 0);
  pid_t pid = 0;
  if (size > 0) std::from_chars(text, text + size, pid);
  return pid > 0 ? pid : -1;
}

std::string holder_of(int fd) {
  const pid_t pid = read_pid(fd);
  return pid < 0 ? "another process" : "the process " + std::to_string(pid);
}

bool take(int fd) {
  for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; ++i) {
    if (errno != EWOULDBLOCK || i == kTries) return false;
    clock_nanosleep(CLOCK_MONOTONIC, 0, &kPause, nullptr);
  }
  return true;
}

Result<void> write_pid(int fd, const std::string& path) {
  const std::string text = std::to_string(getpid()) + "\n";
  if (ftruncate(fd, 0) != 0 || pwrite(fd, text.data(), text.size(), 0) < 0) {
    // A full disk must not keep the controller from starting and freeing its ballast.
    if (errno != ENOSPC && errno != EDQUOT) return fail_errno("cannot write " + path, errno);
  }
  return {};
}

}  // namespace

Result<DataLock> DataLock::acquire(const std::string& directory) {
  const std::string path = directory + "/controller.lock";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return fail_errno("cannot open " + path, errno);
  DataLock lock(fd);
  if (take(fd)) {
    if (auto written = write_pid(fd, path); !written) return std::unexpected(written.error());
    return lock;
  }
  if (errno != EWOULDBLOCK) {
    return fail(Code::kStore, directory + ": this file system cannot lock files",
                "put the data directory on a local file system");
  }
  return fail(Code::kBusy, holder_of(fd) + " uses the data directory " + directory,
              "see: rexec controller status --data " + shell_quoted(directory) +
                  "; end that one first, or choose another --data");
}

Result<pid_t> DataLock::holder(const std::string& directory) {
  const std::string path = directory + "/controller.lock";
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 && errno == ENOENT) return 0;
  if (fd < 0) return fail_errno("cannot open " + path, errno);
  const DataLock asked(fd);
  if (flock(fd, LOCK_SH | LOCK_NB) == 0) return 0;
  if (errno != EWOULDBLOCK) return fail_errno("cannot ask for the lock " + path, errno);
  return read_pid(fd);
}

DataLock::DataLock(DataLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

DataLock::~DataLock() {
  if (fd_ >= 0) close(fd_);
}

Result<void> check_data_directory(const std::string& directory) {
  struct stat status{};
  struct statfs system{};
  if (stat(directory.c_str(), &status) != 0 || statfs(directory.c_str(), &system) != 0) {
    return fail_errno(directory, errno);
  }
  if (!S_ISDIR(status.st_mode)) return fail(Code::kStore, directory + " is not a directory");
  if ((status.st_mode & 0022) != 0) {
    char mode[8];
    std::snprintf(mode, sizeof mode, "%04o", status.st_mode & 07777U);
    return fail(Code::kStore, directory + " can be written by others (mode " + mode + ")",
                "chmod 700 " + shell_quoted(directory));
  }
  if (std::ranges::count(kNetworkFileSystems, static_cast<unsigned>(system.f_type)) > 0) {
    return fail(Code::kStore, directory + " is on a network file system, whose locks do not hold",
                "put the data directory on a local file system");
  }
  return {};
}

}  // namespace rexec::store
