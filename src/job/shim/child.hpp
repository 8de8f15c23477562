// The child between fork and exec: becomes the job's user in the job's surroundings, waits for
// leave to go, and execs. Runs in the process that will be the job; its memory is its own, so it
// may allocate.
#pragma once

#include <cstdint>
#include <string>

#include "src/base/bytes.hpp"
#include "src/job/shim/launch.hpp"

namespace rexec::job {

struct ChildFds {
  int in = -1;
  int out = -1;
  int err = -1;
  int go = -1;      // one byte: exec; end of file: the shim is gone, exit
  int report = -1;  // close-on-exec: ends empty when exec succeeded
  int plan = -1;    // the launch memfd
};
enum class Terminal : std::uint8_t { kNo, kYes };

// Why it could not become the job; what `report` carries.
enum class Stage : std::uint8_t { kSetup = 1, kUser, kScript, kWorkdir, kExec };
struct StartFailure {
  Stage stage = Stage::kSetup;
  int error = 0;
  std::string what;  // the path or step it is about
};
std::string encode_failure(const StartFailure& failure);
bool decode_failure(ByteSpan bytes, StartFailure& failure);
// The exit code of CLI.md: 127 not found, 126 found but not executable, 125 everything before exec.
int exit_code_of(const StartFailure& failure);
// "No such file or directory: /nope"
std::string message_of(const StartFailure& failure);

[[noreturn]] void become_job(ChildFds fds, Terminal terminal, const LaunchParts& parts);

}  // namespace rexec::job
