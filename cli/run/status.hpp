// The status JSON of CLI.md: what a script reads to know how each job of a run ended, also when it
// never started. One object per node and line, written once, at the end. An exit code may be the
// command's own; this is the authority.
#pragma once

#include <string>
#include <vector>

#include "src/base/error.hpp"
#include "src/wire/maps.hpp"

namespace rexec::cli {

struct StatusTarget {
  std::string file;  // --status-file: replaced atomically; a FIFO or device is written to
  int fd = -1;       // --status-fd
  bool wanted() const { return !file.empty() || fd >= 0; }
};

// kUsage when it could not be written later: before anything is started.
Result<void> check_status_target(const StatusTarget& target);
// kIo; both targets are tried.
Result<void> write_status(const StatusTarget& target, const std::vector<wire::Map>& records);

// The record of a run that has none: `node` is the target as typed, `job` empty when there is none.
struct FailedRun {
  std::string node;
  std::string job;
  std::uint64_t out_bytes = 0;  // what had come
  std::uint64_t err_bytes = 0;
};
// The same fields and types for a job that never began, whoever wrote its record.
wire::Map whole_record(wire::Map record);
wire::Map status_of_failure(const FailedRun& run, const Error& error);
// Of a job that nobody waits for: that it was accepted, or the reason (a code's name) why it never
// starts.
wire::Map status_of_accepted(const std::string& node, const std::string& job,
                             const std::string& refused);

}  // namespace rexec::cli
