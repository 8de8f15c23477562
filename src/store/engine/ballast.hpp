// A file of allocated nothing that is given back when the disk is full, so that what frees space
// can still be committed: SQLite needs room to delete (FAULTS S3). Used by the engine alone.
#pragma once

#include <cstddef>
#include <string>

namespace rexec::store {

class Ballast {
 public:
  // 0 bytes: no ballast at all. `name`: of its file in the directory.
  Ballast(std::string directory, std::size_t bytes, const std::string& name = "ballast");
  // Makes it when it is not there and at least twice its size is free. True when it is there, or
  // not wanted.
  bool ensure();
  // True when there was one to give back.
  bool release();
  bool missing() const { return bytes_ > 0 && !present_; }

 private:
  bool allocate();
  std::string directory_;
  std::string path_;
  std::size_t bytes_;
  bool present_ = false;
};

}  // namespace rexec::store
