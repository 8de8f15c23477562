// The control group of a job: made, joined at birth, signalled, killed, counted, removed. Version 2
// only (also the controller-less tree of a hybrid host); where there is none, CgroupRoot::find
// fails and callers fall back to src/os/proc.hpp. Sets no limits.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "src/base/error.hpp"
#include "src/os/fd.hpp"

namespace rexec::os {

// Where the cgroup2 tree is mounted according to /proc/self/mountinfo, empty when it is not.
std::string cgroup2_mount(std::string_view mountinfo);
// The path after "0::" in /proc/self/cgroup, empty when there is none.
std::string cgroup2_path(std::string_view proc_cgroup);

// A directory below the own cgroup in which job cgroups are made.
class CgroupRoot {
 public:
  // Fails where cgroup2 is absent, not writable, or has no cgroup.kill (Linux < 5.14).
  static Result<CgroupRoot> find(std::string_view name);
  const std::string& path() const { return path_; }

 private:
  explicit CgroupRoot(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

class Cgroup {
 public:
  Cgroup() = default;
  static Result<Cgroup> make(const CgroupRoot& root, std::string_view name);
  // An existing one by its absolute path; fails when it is gone.
  static Result<Cgroup> open(const std::string& path);
  explicit operator bool() const { return static_cast<bool>(dir_); }
  int fd() const { return dir_.get(); }
  const std::string& path() const { return path_; }
  bool populated() const;
  // The kernel killed something in it for want of memory (where the memory controller is on).
  bool out_of_memory() const;
  // Its own processes, without those of cgroups a job made below it (kill_all reaches them too).
  std::vector<pid_t> members() const;
  void signal_all(int signal) const;
  // SIGKILL to all, also to those that are forking right now.
  void kill_all() const;
  // True when it is gone afterwards; false while processes are in it.
  bool remove();

 private:
  std::string path_;
  UniqueFd dir_;
};

}  // namespace rexec::os
