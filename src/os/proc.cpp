// /proc scans. See proc.hpp.
#include "src/os/proc.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "src/os/fd.hpp"
#include "src/os/process.hpp"

namespace rexec::os {
namespace {

template <class T>
bool number(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

std::string_view next_field(std::string_view& line) {
  const std::size_t space = std::min(line.find(' '), line.size());
  const std::string_view field = line.substr(0, space);
  line.remove_prefix(std::min(space + 1, line.size()));
  return field;
}

bool read_stat(int proc, const char* pid, ProcessInfo& out) {
  char name[32];
  std::snprintf(name, sizeof(name), "%.20s/stat", pid);
  UniqueFd fd(::openat(proc, name, O_RDONLY | O_CLOEXEC));
  char text[1024];
  const ssize_t n = fd ? ::read(fd.get(), text, sizeof(text)) : 0;
  return n > 0 && parse_stat({text, static_cast<std::size_t>(n)}, out);
}

}  // namespace

bool parse_stat(std::string_view line, ProcessInfo& out) {
  const std::size_t open = line.find(" (");
  const std::size_t close = line.rfind(") ");  // the name itself may contain ") "
  if (open == line.npos || close == line.npos || close < open) return false;
  if (!number(line.substr(0, open), out.pid)) return false;
  std::string_view rest = line.substr(close + 2);
  const std::string_view state = next_field(rest);
  if (state.size() != 1) return false;
  out.state = state[0];
  if (!number(next_field(rest), out.parent)) return false;
  for (int field = 5; field < 22; ++field) next_field(rest);
  return number(next_field(rest), out.start_ticks);
}

std::vector<ProcessInfo> list_processes() {
  std::vector<ProcessInfo> all;
  DIR* directory = ::opendir("/proc");
  if (directory == nullptr) return all;
  while (const dirent* entry = ::readdir(directory)) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    ProcessInfo info;
    if (read_stat(::dirfd(directory), entry->d_name, info)) all.push_back(info);
  }
  ::closedir(directory);
  return all;
}

std::vector<ProcessInfo> descendants(const std::vector<ProcessInfo>& all, pid_t root) {
  std::vector<pid_t> family{root};
  std::vector<ProcessInfo> living;
  // Breadth first; a parent may have a higher pid than its child, so passes until nothing is new.
  for (std::size_t i = 0; i < family.size(); ++i) {
    for (const auto& process : all) {
      if (process.parent != family[i] || process.pid == root) continue;
      if (std::find(family.begin(), family.end(), process.pid) != family.end()) continue;
      family.push_back(process.pid);
      if (process.state != 'Z' && process.state != 'X') living.push_back(process);
    }
  }
  return living;
}

bool has_environment(pid_t pid, std::string_view entry) {
  const std::string path = "/proc/" + std::to_string(pid) + "/environ";
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return false;
  std::string text;
  char block[4096];
  ssize_t n = 0;
  while (text.size() < (8u << 20) && (n = ::read(fd.get(), block, sizeof(block))) > 0)
    text.append(block, static_cast<std::size_t>(n));
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\0'), rest.size());
    if (rest.substr(0, end) == entry) return true;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return false;
}

bool kill_exactly(const ProcessInfo& process, int signal) {
  auto pidfd = open_pidfd(process.pid);
  if (!pidfd) return false;
  // Only now does the pid stand for one process; is it still the one that was seen?
  const auto ticks = start_ticks(process.pid);
  return ticks && *ticks == process.start_ticks && send_signal(pidfd->get(), signal);
}

}  // namespace rexec::os
