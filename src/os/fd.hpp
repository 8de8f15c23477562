// A file descriptor with an owner, and the few descriptor calls everything else is written with.
// Every descriptor made here is close-on-exec. It knows nothing of what is behind the descriptor.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "src/base/bytes.hpp"
#include "src/base/error.hpp"

namespace rexec::os {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~UniqueFd() { reset(); }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
};

enum class Blocking { kNo, kYes };

Result<Pipe> make_pipe();  // both ends blocking
Result<void> set_blocking(int fd, Blocking mode);
// memfd_create(2), close-on-exec, holding `content`, sealed against every change. The name is for
// /proc only.
Result<UniqueFd> make_memfd(const char* name, ByteSpan content);
// The whole content of a regular file or memfd from offset 0; kLimit beyond max_bytes. Whoever else
// holds the descriptor may write meanwhile, so only the returned copy may be judged.
Result<std::string> read_all(int fd, std::size_t max_bytes);
// write(2) until all is written; errno as Error otherwise.
Result<void> write_all(int fd, ByteSpan bytes);
// For writing from the start, made (0600) where it is not there. Not by O_TRUNC: ext4 takes that
// for the start of a replacement and writes the file to disk at close.
Result<UniqueFd> create_file_at(int dir_fd, const char* name);
// A small file relative to a directory; never follows a final symlink.
Result<std::string> read_file_at(int dir_fd, const char* name, std::size_t max_bytes);
enum class Sync { kNo, kYes };
// Temporary `<name>.tmp` beside it (0600), then rename; with kYes the file and the directory are
// synced.
Result<void> replace_file_at(int dir_fd, const char* name, ByteSpan content, Sync sync);

}  // namespace rexec::os
