// The seal of a backup: its last line, the SHA-256 of every byte before it. SQLite's own check
// finds torn pages and the rows' checksums find changed values, but neither sees a free page, a key
// among the files or a schema that was tampered with by a bad disk; this sees them all. SQLite goes
// by the page count of its header and does not read that far. No signature: who can write the file
// can seal it. Internal; backup.cpp calls it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "src/base/error.hpp"

namespace rexec::store {

// Sealing a file that is complete: a piece at a time, because it is done between two commits.
class Sealing {
 public:
  static Result<std::unique_ptr<Sealing>> begin(const std::string& path);
  ~Sealing();
  // Hashes so many bytes more. True when the line is written; the caller syncs.
  Result<bool> step(std::size_t bytes);

 private:
  struct State;
  explicit Sealing(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// kStore unless the file ends with the seal of what is before it; kIo when it cannot be read.
Result<void> check_seal(const std::string& path);
// What is before the seal, into a new file of mode 0600, synced; the seal is compared on the way.
Result<void> copy_unsealed(const std::string& from, const std::string& to);
// Whether it ends with a seal, be that right or wrong.
bool has_seal(const std::string& path);

}  // namespace rexec::store
