// What the spawner hands to a shim, complete and resolved: everything the job needs is decided
// before the shim hears of it. Travels as one sealed memfd; the shim decodes its own small part,
// the child that becomes the job decodes the rest.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "src/base/ids.hpp"
#include "src/job/ipc/link.hpp"
#include "src/job/spec/spec.hpp"
#include "src/os/users.hpp"

namespace rexec::job {

// For the shim.
struct ShimPlan {
  AttemptKey key;
  std::string node;
  bool attach = false;
  bool forward_stdin = false;
  bool tty = false;
  std::uint16_t rows = 0;
  std::uint16_t cols = 0;
  std::string terminal_modes;  // of the caller's terminal, as RFC 4254 §8 writes them
  std::uint64_t timeout_ms = 0;
  std::uint64_t grace_ms = 0;
  OnDisconnect on_disconnect = OnDisconnect::kKeep;
  std::uint64_t on_disconnect_ms = 0;
  Children children = Children::kKill;
  Overflow overflow = Overflow::kSpill;
  std::uint64_t idle_timeout_ms = 0;
  bool sha256 = false;
  bool durable = false;
  bool restarts = false;  // its spec must outlive it
  std::uint64_t output_quota = kDefaultQuota;
  std::uint64_t cpu_milli = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t pids = 0;
  std::uint32_t uid = 0;
  bool keeps_privileges = false;
  std::string script_dir;  // empty: no script
  std::string script_name;
};

// For the child.
struct ExecPlan {
  bool change_user = false;
  bool keeps_privileges = false;  // setuid programs get what they are marked for
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::vector<std::uint32_t> groups;
  std::string workdir;
  bool workdir_asked = false;  // false: / will do when HOME cannot be entered
  std::vector<std::string> argv;
  std::vector<std::string> env;  // "K=V"
  std::string search_path;       // the job's PATH
  std::string script;
  std::string script_path;          // empty: no script
  std::uint64_t open_files = 1024;  // RLIMIT_NOFILE as the spawner found it
};

struct Launch {
  ShimPlan shim;
  ExecPlan exec;
  std::string meta;  // MessagePack
  std::string spec;  // as it came
};

// What a node adds to every job. Nothing else of the agent's environment reaches one: it may hold
// secrets of whoever started the agent.
struct NodeDefaults {
  std::string node;
  std::string lang = "C.UTF-8";
  std::string time_zone = "UTC";
  std::uint64_t open_files = 1024;
};
// From LANG and TZ of the caller, /etc/localtime and its limits.
NodeDefaults node_defaults(std::string node);

// The clean environment of CLI.md, then the explicit pairs, which replace what they name.
std::vector<std::string> job_environment(const JobSpec& spec, const AttemptKey& key,
                                         const os::User& user, const NodeDefaults& defaults);
// Fills in everything but meta and spec.
Launch plan_launch(const JobSpec& spec, const link::Start& start, const os::User& user,
                   const NodeDefaults& defaults);

std::string encode_launch(const Launch& launch);
// Where the parts are in the bytes of encode_launch.
struct LaunchParts {
  std::uint64_t shim_at = 0, shim_size = 0;
  std::uint64_t exec_at = 0, exec_size = 0;
  std::uint64_t meta_at = 0, meta_size = 0;
  std::uint64_t spec_at = 0, spec_size = 0;
};
inline constexpr std::size_t kLaunchHeader = 32;
LaunchParts launch_parts(ByteSpan header);
// False when they do not decode.
bool decode_shim_plan(ByteSpan bytes, ShimPlan& plan);
bool decode_exec_plan(ByteSpan bytes, ExecPlan& plan);

}  // namespace rexec::job
