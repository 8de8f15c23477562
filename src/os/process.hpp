// Processes by descriptor: clone3, pidfd, wait, and one way to run another program. Never a bare
// pid where a pidfd can be had. Used by spawner, shim and client only; net never forks.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "src/base/clock.hpp"
#include "src/base/error.hpp"
#include "src/os/fd.hpp"

namespace rexec::os {

struct Child {
  pid_t pid = 0;
  UniqueFd pidfd;
};

// clone3 without sharing memory. Returns in both processes: pid 0 in the child. With cgroup_fd >= 0
// the child is born in that cgroup (v2). In the child of a caller that has threads only system
// calls may follow.
Result<Child> fork_process(int cgroup_fd = -1);

// How a process ended, from waitid(P_PIDFD).
struct ExitStatus {
  int code = 0;    // meaningful when signal is 0
  int signal = 0;  // the signal that ended it
};
// Reaps a child whose pidfd became readable; nullopt while it lives or when it is not ours.
std::optional<ExitStatus> reap(int pidfd);
// Waits for one that was killed.
void reap_killed(int pidfd);
// Reaps every other zombie child of this process except `keep` (a subreaper collects strangers).
// Number reaped.
int reap_orphans(pid_t keep);

// A child that was stopped since it was last asked for; 0: none. Its end is not looked at.
pid_t take_stopped_child();
// Whether that process is stopped now, as a job's control does it.
bool is_stopped(pid_t pid);

// Blocks these signals; they are read from the descriptor instead (non-blocking).
Result<UniqueFd> open_signals(std::initializer_list<int> signals);
// The number of one pending signal, 0 when there is none.
int take_signal(int fd);

Result<UniqueFd> open_pidfd(pid_t pid);
// False when the process is gone.
bool send_signal(int pidfd, int signal);

// Runs a program with /dev/null as stdin, its stdout on a pipe, a default signal state and nothing
// else open.
struct Program {
  Child child;
  UniqueFd output;
};
Result<Program> run_program(const std::vector<std::string>& argv,
                            const std::vector<std::string>& environment);

// For a child between fork and exec: default dispositions, empty mask.
void reset_signals();
// Closes everything from `first` on.
void close_from(int first);
// Moves `fds[i]` to descriptor i (close-on-exec cleared) and closes all others: what the next
// program gets, exactly. Only in a child about to exec; the entries must be valid descriptors.
bool install_descriptors(std::vector<int> fds);

// The start time of a process in clock ticks since boot (/proc/PID/stat field 22); identifies a pid
// together with the boot id.
Result<std::uint64_t> start_ticks(pid_t pid);
// /proc/sys/kernel/random/boot_id
std::string boot_id();

}  // namespace rexec::os
