// Limits of a job by cgroup: memory and processes and processor time, through version 2 where its
// controllers are to be had, else through the version 1 hierarchies of a hybrid host, else
// "unavailable" by name. Processes are found and killed elsewhere (cgroup.hpp).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/error.hpp"
#include "src/os/cgroup.hpp"
#include "src/os/fd.hpp"

namespace rexec::os {

struct Limits {
  std::uint64_t cpu_milli = 0;  // thousandths of one processor; 0: none, as for the others
  std::uint64_t memory_bytes = 0;
  std::uint64_t pids = 0;
  bool any() const { return cpu_milli != 0 || memory_bytes != 0 || pids != 0; }
};

// Where each controller's job groups are made.
class LimitRoots {
 public:
  LimitRoots() = default;
  // `root` (may be null) gets its controllers switched on as far as the kernel allows. Once, at the
  // start.
  static LimitRoots find(const CgroupRoot* root);
  // Which of cpu, memory and pids could not be limited by somebody who starts like this; changes
  // nothing, so what the kernel refuses later is not known yet.
  static std::vector<std::string> unavailable();
  // The controller that one of the limits needs and that is not to be had; empty when all are.
  std::string missing(const Limits& limits) const;
  // Directories of version 1 in which job groups may be left over.
  std::vector<std::string> directories() const;

 private:
  friend class JobLimits;
  struct Controller {
    bool unified = false;   // version 2
    std::string directory;  // version 1, empty: not there
    bool there() const { return unified || !directory.empty(); }
  };
  Controller cpu_, memory_, pids_;
};

// The own directory of a version 1 controller, empty when it is not mounted: the mount point joined
// with the part of the own path below the mount's root.
std::string cgroup1_directory(std::string_view controller, std::string_view mountinfo,
                              std::string_view proc_cgroup);

class JobLimits {
 public:
  JobLimits() = default;
  // Sets them before the job is born: on `unified` (its own cgroup) or on new version 1 groups
  // called `name`.
  static Result<JobLimits> set(const LimitRoots& roots, const std::string& name,
                               const Limits& limits, const Cgroup* unified);
  // Version 1 knows no birth in a group: the process joins before it may exec.
  Result<void> join(pid_t pid) const;
  bool out_of_memory() const;
  // Version 1: readable each time the group has run out of memory. The kernel then ends one of its
  // processes, not all as version 2 does. No descriptor where that is not so.
  UniqueFd memory_events() const;
  void remove();

 private:
  std::vector<std::string> groups_;
  std::string memory_group_;
};

}  // namespace rexec::os
