// Whole small files, with the durability that certificates, configuration and secrets need.
#include "src/base/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "src/base/bytes.hpp"
#include "src/base/text.hpp"

namespace rexec {
namespace {

// Closes on every way out; src/os has the full descriptor type, base may not include it.
class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

Result<std::string> read_all(int fd, const std::string& path, std::size_t max_bytes) {
  std::string content;
  char chunk[16384];
  while (true) {
    const ssize_t got = ::read(fd, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(path, errno);
    if (got == 0) return content;
    if (content.size() + static_cast<std::size_t>(got) > max_bytes) {
      return fail(Code::kLimit,
                  printable(path) + " is larger than " + format_size(max_bytes) + ", the limit");
    }
    content.append(chunk, static_cast<std::size_t>(got));
  }
}

bool write_all(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t put = ::write(fd, content.data(), content.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return false;
    content.remove_prefix(static_cast<std::size_t>(put));
  }
  return true;
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// A rename is durable once its directory is.
Result<void> sync_directory(const std::string& path) {
  const File directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0) return fail_errno(path, errno);
  // EINVAL: a file system that cannot; there is nothing better to do.
  if (::fsync(directory.get()) != 0 && errno != EINVAL) return fail_errno(path, errno);
  return {};
}

Result<void> fill(const std::string& path, std::string_view content, mode_t mode) {
  // O_EXCL: nobody can have prepared a link of that name.
  const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  const File file(::open(path.c_str(), flags, mode & 0600));
  if (file.get() < 0) return fail_errno(path, errno);
  const bool written =
      ::fchmod(file.get(), mode) == 0 && write_all(file.get(), content) && ::fsync(file.get()) == 0;
  if (!written) return fail_errno(path, errno);
  return {};
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t max_bytes) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (file.get() < 0) return fail_errno(path, errno);
  return read_all(file.get(), path, max_bytes);
}

Result<void> write_file(const std::string& path, std::string_view content, mode_t mode) {
  std::uint8_t suffix[5];
  random_bytes(suffix);
  const std::string temporary = path + ".tmp-" + to_base32(suffix);
  Result<void> done = fill(temporary, content, mode);
  if (done && ::rename(temporary.c_str(), path.c_str()) != 0) done = fail_errno(path, errno);
  if (!done) {
    ::unlink(temporary.c_str());
    return done;
  }
  return sync_directory(parent_of(path));
}

Result<std::string> read_secret_file(const std::string& path, std::size_t max_bytes) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (file.get() < 0) return fail_errno(path, errno);
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return fail_errno(path, errno);
  const std::string shown = printable(path);
  if (S_ISDIR(info.st_mode)) return fail_errno(path, EISDIR);
  if ((info.st_mode & 077) != 0) {
    return fail(
        Code::kKeyExposed, shown + " can be read by others, so it is no secret any more",
        "chmod 600 " + shell_quoted(path) + "\nif others may have read it, join or sign in again");
  }
  if (info.st_uid != ::geteuid() && info.st_uid != 0) {
    return fail(Code::kKeyExposed,
                shown + " belongs to another user (uid " + std::to_string(info.st_uid) + ")",
                "chown it to uid " + std::to_string(::geteuid()));
  }
  return read_all(file.get(), path, max_bytes);
}

Result<void> make_directories(const std::string& path, mode_t mode) {
  if (path.empty()) return fail(Code::kIo, "the path of a directory is empty");
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (::mkdir(part.c_str(), mode) == 0) {
      // mkdir subtracts the umask; the caller's mode is exact.
      if (::chmod(part.c_str(), mode) != 0) return fail_errno(part, errno);
    } else {
      const int err = errno;
      struct stat info{};
      const bool exists = ::stat(part.c_str(), &info) == 0;
      if (!exists) return fail_errno(part, err);
      if (!S_ISDIR(info.st_mode)) return fail_errno(part, ENOTDIR);
    }
    if (slash == std::string::npos) return {};
  }
}

}  // namespace rexec
