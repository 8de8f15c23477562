// One process per data directory: a flock on `controller.lock`, with the holder's pid inside for
// people (FAULTS C13). The kernel drops it with the process, however that ends, so the pid says who
// and the lock says whether. Used by opening, restoring, offline verification and `status`.
#pragma once

#include <sys/types.h>

#include <string>

#include "src/base/error.hpp"

namespace rexec::store {

class DataLock {
 public:
  // kBusy naming the pid that has it; kStore where the file system cannot lock (FAULTS S19).
  static Result<DataLock> acquire(const std::string& directory);
  // Who has it now: the pid, 0 for nobody, -1 for somebody who did not write it down. kIo when that
  // cannot be asked.
  static Result<pid_t> holder(const std::string& directory);
  DataLock(DataLock&& other) noexcept;
  DataLock& operator=(DataLock&&) = delete;
  ~DataLock();

 private:
  explicit DataLock(int fd) : fd_(fd) {}
  int fd_;
};

// kStore unless `directory` is one that only its owner writes (FAULTS S16), on a local file system
// (S19).
Result<void> check_data_directory(const std::string& directory);

}  // namespace rexec::store
