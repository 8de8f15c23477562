// The directory of one attempt, the journal of PROTOCOL.md: which files are there and what that
// means. The shim writes them, the spawner reads them after a crash; neither keeps its truth
// anywhere else.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/base/error.hpp"
#include "src/base/ids.hpp"
#include "src/job/ipc/link.hpp"
#include "src/job/spec/record.hpp"
#include "src/os/fd.hpp"

namespace rexec::job {

// "j-0123456789ab.1"
std::string attempt_name(const AttemptKey& key);
// nullopt for any other name.
std::optional<AttemptKey> attempt_from_name(std::string_view name);

// The `started` file.
struct StartedRecord {
  std::string boot_id;
  std::uint32_t pid = 0;
  std::uint64_t start_ticks = 0;
  std::uint64_t wall_ms = 0;
  std::uint32_t uid = 0;    // the job's
  std::string cgroup;       // absolute path, may be empty
  std::string script_path;  // to be removed with its directory, may be empty
  std::uint8_t link = 1;    // version of the messages the shim understands
};
std::string to_text(const StartedRecord& record);
// Whatever is missing stays empty: a torn file still means "started".
StartedRecord started_from_text(std::string_view text);

// `meta` as MessagePack.
std::string encode_meta(const link::Meta& meta, const link::Start& start);
struct StoredMeta {
  link::Meta meta;
  bool attach = false;
};
Result<StoredMeta> decode_meta(std::string_view bytes);
Result<StoredMeta> read_meta(int dir_fd);
// The end of an attempt that has ended.
Result<EndRecord> read_record(int dir_fd);

// The attempt's record will have its place, however full the disk is by then: a job can always be
// ended. False: there is no room even now.
bool reserve_record(int dir_fd);

// The process that holds the lock file in dir_fd, 0 when nobody does (or there is no file yet).
pid_t lock_holder(int dir_fd);
// Takes it for the rest of the process's life; the descriptor is deliberately never closed. False:
// somebody else holds it.
bool take_lock(int dir_fd, const char* name = "lock");
pid_t lock_holder(int dir_fd, const char* name);

enum class AttemptState {
  kNew,       // nobody works on it and it was not started
  kAlive,     // a shim holds the lock
  kStarted,   // started, and its shim is gone without a record
  kFinished,  // the exit record is there
};
struct Attempt {
  AttemptState state = AttemptState::kNew;
  pid_t shim = 0;
};
// The one table of PROTOCOL.md: exit before lock (a shim that lingers after its record is
// finished), lock before started.
Attempt read_state(int dir_fd);
bool is_reported(int dir_fd);
bool was_started(int dir_fd);
// A person wants no further attempt.
bool is_halted(int dir_fd);

// Removes script and directory, never through a link and only if `owner` owns the directory.
void remove_script(const std::string& script_path, uid_t owner);
// Removes every file in that directory of jobs/ and the directory.
Result<void> remove_directory(int jobs_fd, const std::string& name);
// The names in a directory without "." and "..".
std::vector<std::string> list_directory(int dir_fd);

}  // namespace rexec::job
