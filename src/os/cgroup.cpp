// cgroup v2 by its files. See cgroup.hpp.
#include "src/os/cgroup.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "src/base/text.hpp"
#include "src/os/cgroup_files.hpp"
#include "src/os/process.hpp"

namespace rexec::os {
std::string unescape_mount(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escaped = text[i] == '\\' && i + 3 < text.size();
    if (!escaped) {
      plain += text[i];
      continue;
    }
    plain +=
        static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
    i += 3;
  }
  return plain;
}

std::string slurp_at(int directory, const char* name) {
  UniqueFd fd(::openat(directory, name, O_RDONLY | O_CLOEXEC));
  std::string text;
  char block[4096];
  ssize_t n = 0;
  while (fd && text.size() < (4u << 20) && (n = ::read(fd.get(), block, sizeof(block))) > 0)
    text.append(block, static_cast<std::size_t>(n));
  return text;
}

bool put_at(int directory, const char* name, std::string_view text) {
  UniqueFd fd(::openat(directory, name, O_WRONLY | O_CLOEXEC));
  if (!fd) return false;
  const ssize_t n = ::write(fd.get(), text.data(), text.size());
  const int error = errno;
  fd.reset();
  errno = error;
  return n == static_cast<ssize_t>(text.size());
}

std::string cgroup2_mount(std::string_view mountinfo) {
  for (const auto& line : split(mountinfo, '\n')) {
    // id parent major:minor root MOUNTPOINT options [optional]... - TYPE source options
    const std::size_t dash = line.find(" - ");
    if (dash == line.npos || line.compare(dash + 3, 8, "cgroup2 ") != 0) continue;
    const auto fields = split(std::string_view(line).substr(0, dash), ' ');
    if (fields.size() >= 6) return unescape_mount(fields[4]);
  }
  return {};
}

std::string cgroup2_path(std::string_view proc_cgroup) {
  for (const auto& line : split(proc_cgroup, '\n'))
    if (line.starts_with("0::/")) return line.substr(3);
  return {};
}

Result<CgroupRoot> CgroupRoot::find(std::string_view name) {
  const std::string mount = cgroup2_mount(slurp_at(AT_FDCWD, "/proc/self/mountinfo"));
  const std::string own = cgroup2_path(slurp_at(AT_FDCWD, "/proc/self/cgroup"));
  if (mount.empty() || own.empty()) return fail(Code::kIo, "no cgroup v2 is mounted");
  const std::string path = mount + (own == "/" ? "" : own) + "/" + std::string(name);
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno(path, errno);
  if (::access((path + "/cgroup.kill").c_str(), W_OK) != 0)
    return fail_errno(path + "/cgroup.kill", errno);
  return CgroupRoot(path);
}

Result<Cgroup> Cgroup::make(const CgroupRoot& root, std::string_view name) {
  const std::string path = root.path() + "/" + std::string(name);
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno(path, errno);
  return open(path);
}

Result<Cgroup> Cgroup::open(const std::string& path) {
  Cgroup group;
  group.dir_.reset(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!group.dir_) return fail_errno(path, errno);
  group.path_ = path;
  return group;
}

bool Cgroup::populated() const {
  return slurp_at(dir_.get(), "cgroup.events").find("populated 1") != std::string::npos;
}

bool Cgroup::out_of_memory() const {
  const std::string events = slurp_at(dir_.get(), "memory.events");
  const std::size_t at = events.find("oom_kill ");
  return at != std::string::npos && events.compare(at + 9, 2, "0\n") != 0;
}

std::vector<pid_t> Cgroup::members() const {
  std::vector<pid_t> pids;
  for (const auto& line : split(slurp_at(dir_.get(), "cgroup.procs"), '\n')) {
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), pid);
    if (error == std::errc() && pid > 0) pids.push_back(pid);
  }
  return pids;
}

void Cgroup::signal_all(int signal) const {
  for (const pid_t pid : members()) {
    auto pidfd = open_pidfd(pid);
    if (!pidfd) continue;
    // Still a member now that the pidfd pins it? Then it is the right one.
    const std::string own =
        slurp_at(AT_FDCWD, ("/proc/" + std::to_string(pid) + "/cgroup").c_str());
    if (path_.ends_with(cgroup2_path(own))) send_signal(pidfd->get(), signal);
  }
}

void Cgroup::kill_all() const { put_at(dir_.get(), "cgroup.kill", "1"); }

bool Cgroup::remove() {
  dir_.reset();
  return ::rmdir(path_.c_str()) == 0 || errno == ENOENT;
}

}  // namespace rexec::os
