// A program that starts when this process dies, also by KILL, a crash or the out-of-memory killer:
// a small child without descriptors waits for that end and then becomes the program. Whoever kills
// both, as the end of a container does, prevents it.
#pragma once

#include <string>
#include <vector>

#include "src/os/process.hpp"

namespace rexec::os {

class ExecOnDeath {
 public:
  ExecOnDeath() = default;
  ~ExecOnDeath() { disarm(); }
  ExecOnDeath(const ExecOnDeath&) = delete;
  ExecOnDeath& operator=(const ExecOnDeath&) = delete;

  // `path` with these arguments, the first of which is its name. The program gets this process's
  // environment and directory, /dev/null as its standard streams, default signals, and a session
  // of its own. kIo where the system has no process to spare; armed once.
  Result<void> arm(const std::string& path, const std::vector<std::string>& argv);
  // The program does not start any more. Nothing happens when it was not armed.
  void disarm();
  // The program starts at this process's end whatever becomes of this object.
  void let_go() { watcher_ = {}; }

 private:
  Child watcher_;
};

}  // namespace rexec::os
