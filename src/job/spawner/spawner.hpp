// The spawner: `agent run` before and above everything else. It starts net, keeps one warm shim
// waiting, turns Start messages into shims, adopts the shims of a predecessor, and declares lost
// what died without a record. It reads no network and no job output.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "src/base/error.hpp"
#include "src/job/spec/spec.hpp"
#include "src/job/spool/retention.hpp"
#include "src/os/process.hpp"
#include "src/os/users.hpp"

namespace rexec::job {

// In the jobs directory: the running spawner holds it (attempt_dir.hpp, lock_holder).
inline constexpr const char* kSpawnerLock = "spawner.lock";

// Descriptors of net.
inline constexpr int kNetSpawnerFd = 3;  // SOCK_SEQPACKET, messages of link.hpp
inline constexpr int kNetReadyFd =
    4;  // only if there is a ready_fd; the first net gets it and nobody else keeps it
// A net that exits with this status is not started again, and run_spawner returns it: bad
// configuration, revoked …
inline constexpr int kNetFatalExit = 78;

struct SpawnerOptions {
  std::string data_dir;   // refused when group or others can write to it (mode 0777), and when
                          // another spawner holds it
  std::string node_name;  // REXEC_NODE and the record's node
  // argv of net, executed as /proc/self/exe: {"rexec", "agent-net", "--data", …}. Put "--ready-fd",
  // "4" there when ready_fd is set.
  std::vector<std::string> net_argv;
  int ready_fd = -1;
  std::optional<os::User> net_user;  // as root: the account net runs as; without: the caller's
  std::string run_as;                // the default user of jobs; empty: the caller's
  std::vector<std::string>
      allow_users;  // other users jobs may ask for; "*" is any person (identity.hpp)
  Privileges most_privileges = Privileges::kDrop;  // what jobs may ask for at most
  RetentionLimits kept;                            // of what ended
  bool stop_jobs = false;                          // SIGTERM also stops the jobs
  // Tests: starts something else than net with this end of the socket pair. Empty: exec as above.
  std::function<Result<os::Child>(os::UniqueFd net_end)> start_net;
};

// Runs until SIGTERM or SIGINT; the exit status of the process. The log must be open; the calling
// process has one thread.
int run_spawner(const SpawnerOptions& options);

}  // namespace rexec::job
