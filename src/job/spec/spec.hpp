// What is to be run, as the client says it and the spawner obeys it: argv, environment, user,
// terminal, limits. MessagePack on the wire, bytes as bin. It does not say where or when
// (controller) and resolves nothing (launch.hpp does).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/base/bytes.hpp"
#include "src/base/error.hpp"

namespace rexec::job {

inline constexpr std::size_t kMaxSpecBytes = 4u << 20;
inline constexpr std::uint64_t kDefaultQuota = 64u << 20;
// From TERM to KILL, of a job that was given no --grace. Orders that name none use the job's own.
inline constexpr std::uint64_t kDefaultGraceMs = 5000;
inline constexpr std::uint64_t kMaxOrderedGraceMs = 86'400'000;  // a stop is over in a day

struct TtySpec {
  std::uint16_t rows = 24;
  std::uint16_t cols = 80;
  std::string term = "xterm-256color";
  std::string modes = {};  // of the caller's terminal, as RFC 4254 §8 writes them; may be empty
  bool operator==(const TtySpec&) const = default;
};

enum class OnDisconnect : std::uint8_t { kKeep, kStop, kStopAfter };
enum class Children : std::uint8_t { kKill, kWait, kLeave };
enum class Restart : std::uint8_t { kNo, kOnFailure, kAlways };
// Whether an attempt that ended is followed by another one; restart.hpp decides.
struct RestartPolicy {
  Restart when = Restart::kNo;
  std::uint64_t most = 0;  // restarts; 0: any number
  bool operator==(const RestartPolicy&) const = default;
};
// What a program that is setuid, setgid or has capabilities of its own gets when a job runs it.
enum class Privileges : std::uint8_t {
  kDrop,  // no more than the job has (no_new_privs)
  kKeep,  // what it gets over ssh; the node must allow it
};
// When a reader is further behind than the quota, or with kBlock than 2.5 MiB; or nobody reads,
// which is a reader at its last place for kBlock and no reader for the others.
enum class Overflow : std::uint8_t {
  kSpill,  // the spool keeps the quota for it, then the job is held back
  kBlock,  // the job is held back at once
  kDrop,   // the job goes on, the oldest output is dropped and counted
};

struct JobSpec {
  // Bytes as for execve. With `script`, argv[0] is only the script's name and may be missing; the
  // rest are its arguments.
  std::vector<std::string> argv;
  std::vector<std::pair<std::string, std::string>>
      env;                     // explicit, these win; the client has resolved -e K and --env-file
  std::string workdir;         // absolute or relative to HOME; empty: HOME
  std::string user;            // empty: the node's default (join --run-as)
  std::string group;           // empty: the user's
  bool forward_stdin = false;  // otherwise /dev/null (a terminal always forwards)
  std::optional<TtySpec> tty;
  std::uint64_t timeout_ms = 0;  // 0: none
  std::uint64_t grace_ms = kDefaultGraceMs;
  OnDisconnect on_disconnect = OnDisconnect::kKeep;
  std::uint64_t on_disconnect_ms = 0;  // for kStopAfter
  Children children = Children::kKill;
  std::optional<std::string> script;
  bool sha256 = false;
  bool durable = false;  // a detached job: started record and spool are synced
  std::uint64_t output_quota = kDefaultQuota;  // 1 MiB at least
  // Limits by cgroup; 0 is none. Refused where the node cannot set them.
  std::uint64_t cpu_milli = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t pids = 0;
  std::uint64_t idle_timeout_ms = 0;  // without output and stdin; 0: none
  Overflow overflow = Overflow::kSpill;
  Privileges privileges = Privileges::kDrop;
  RestartPolicy restart;  // with another than kNo neither stdin nor tty: the input would be gone
  bool operator==(const JobSpec&) const = default;
};

// At most kMaxSpecBytes, otherwise kLimit (the message says how large it is).
Result<std::string> encode_spec(const JobSpec& spec);
// Unknown keys are ignored; a wrong type, a duplicate, depth beyond 32, trailing bytes, or what
// validate_spec refuses is kUsage.
Result<JobSpec> decode_spec(ByteSpan bytes);
// NUL bytes, an empty argv without script, a bad environment name, numbers out of range.
Result<void> validate_spec(const JobSpec& spec);

}  // namespace rexec::job
