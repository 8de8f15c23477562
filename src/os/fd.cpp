// Descriptor calls with close-on-exec and errors as values. See fd.hpp.
#include "src/os/fd.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "src/base/fail_point.hpp"

namespace rexec::os {

void UniqueFd::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe", errno);
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Result<void> set_blocking(int fd, Blocking mode) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0) return fail_errno("fcntl", errno);
  const int wanted = mode == Blocking::kNo ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
  if (wanted != flags && ::fcntl(fd, F_SETFL, wanted) != 0) return fail_errno("fcntl", errno);
  return {};
}

Result<UniqueFd> make_memfd(const char* name, ByteSpan content) {
  UniqueFd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return fail_errno("memfd_create", errno);
  if (auto written = write_all(fd.get(), content); !written)
    return std::unexpected(written.error());
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
    return fail_errno("sealing a memfd", errno);
  return fd;
}

Result<std::string> read_all(int fd, std::size_t max_bytes) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return fail_errno("fstat", errno);
  if (!S_ISREG(status.st_mode)) return fail(Code::kIo, "not a regular file");
  if (static_cast<std::uint64_t>(status.st_size) > max_bytes)
    return fail(Code::kLimit, "more than " + std::to_string(max_bytes) + " bytes");
  std::string text(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::pread(fd, text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("read", errno);
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  text.resize(done);
  return text;
}

Result<void> write_all(int fd, ByteSpan bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("write", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Result<std::string> read_file_at(int dir_fd, const char* name, std::size_t max_bytes) {
  UniqueFd fd(::openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd) return fail_errno(name, errno);
  return read_all(fd.get(), max_bytes);
}

Result<UniqueFd> create_file_at(int dir_fd, const char* name) {
  UniqueFd fd(::openat(dir_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  struct stat status{};
  if (!fd || ::fstat(fd.get(), &status) != 0) return fail_errno(name, errno);
  if (status.st_size > 0 && ::ftruncate(fd.get(), 0) != 0) return fail_errno(name, errno);
  return fd;
}

Result<void> replace_file_at(int dir_fd, const char* name, ByteSpan content, Sync sync) {
  const std::string temporary = std::string(name) + ".tmp";
  auto fd = create_file_at(dir_fd, temporary.c_str());
  if (!fd) return std::unexpected(fd.error());
  if (auto written = write_all(fd->get(), content); !written) return written;
  if (const int pretended = fail_errno_at(FailPoint::kFileSync))
    return fail_errno("fdatasync", pretended);
  if (sync == Sync::kYes && ::fdatasync(fd->get()) != 0) return fail_errno("fdatasync", errno);
  fail_point(FailPoint::kFileWritten);
  if (::renameat(dir_fd, temporary.c_str(), dir_fd, name) != 0) return fail_errno("rename", errno);
  if (sync == Sync::kYes && ::fsync(dir_fd) != 0) return fail_errno("fsync", errno);
  return {};
}

}  // namespace rexec::os
