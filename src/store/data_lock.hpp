// One process per data directory: a flock on `controller.lock`, with the holder's pid inside for
// people (FAULTS C13). The kernel drops it with the process, however that ends. Used by opening,
// restoring and offline verification.
#pragma once

#include <string>

#include "src/base/error.hpp"

namespace rexec::store {

class DataLock {
 public:
  // kBusy naming the pid that has it; kStore where the file system cannot lock (FAULTS S19).
  static Result<DataLock> acquire(const std::string& directory);
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
