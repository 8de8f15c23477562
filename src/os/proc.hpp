// Looking for processes in /proc: descendants of one process, and those that carry a mark in their
// environment. What it returns may be stale at once; callers loop until nothing is found and check
// start times before they kill.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rexec::os {

struct ProcessInfo {
  pid_t pid = 0;
  pid_t parent = 0;
  char state = '?';  // Z and X are dead
  std::uint64_t start_ticks = 0;
};

// Every process visible in /proc.
std::vector<ProcessInfo> list_processes();
// All living descendants of root (not root itself), zombies left out.
std::vector<ProcessInfo> descendants(const std::vector<ProcessInfo>& all, pid_t root);
// True when the process's environment, as it was at its exec, has exactly this entry
// ("REXEC_JOB=j-…"). Unreadable: false.
bool has_environment(pid_t pid, std::string_view entry);
// Parses one /proc/PID/stat line; false when it is malformed. The command name may hold spaces and
// parentheses.
bool parse_stat(std::string_view line, ProcessInfo& out);
// Kills that very process (through a pidfd whose start time was checked). True when the signal was
// sent.
bool kill_exactly(const ProcessInfo& process, int signal);

}  // namespace rexec::os
