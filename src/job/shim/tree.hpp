// All processes of one attempt, found three ways: its cgroup, the descendants of the shim (a
// subreaper, so nobody escapes it while it lives), and REXEC_JOB in the environment for when the
// shim is gone. Signals and kills them; the caller loops until none is left.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <vector>

#include "src/base/ids.hpp"
#include "src/os/cgroup.hpp"
#include "src/os/proc.hpp"

namespace rexec::job {

class JobTree {
 public:
  // Seen from the shim: its descendants, and the cgroup where there is one.
  static JobTree of_shim(std::optional<os::Cgroup> cgroup);
  // Seen from the spawner after the shim died: `leader` as the started record has it (pid 0:
  // unknown).
  static JobTree of_orphans(const AttemptKey& key, std::optional<os::Cgroup> cgroup,
                            os::ProcessInfo leader);

  // Living processes now.
  std::vector<os::ProcessInfo> living() const;
  // To every living process; with SIGCONT after a TERM, for those that are stopped.
  void signal_all(int signal) const;
  void kill_all() const;
  // Something lives, and none of it takes signals from us: with --privileges keep a job may become
  // another user.
  bool out_of_reach() const;
  // Nothing is left. The shim reaps its zombies before it asks.
  bool empty() const;
  // Removes the cgroup if there is one; false while it is not empty.
  bool remove_cgroup();
  const os::Cgroup* cgroup() const { return cgroup_ ? &*cgroup_ : nullptr; }

 private:
  JobTree() = default;
  std::vector<os::ProcessInfo> marked() const;

  std::optional<os::Cgroup> cgroup_;
  pid_t subreaper_ = 0;
  AttemptKey key_;
  os::ProcessInfo leader_;
};

}  // namespace rexec::job
