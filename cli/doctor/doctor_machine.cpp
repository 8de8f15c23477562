// This machine's half of doctor: what an agent needs of the kernel and the system, and the daemons
// that have their state here.
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <charconv>

#include "cli/daemons/data_dir.hpp"
#include "cli/doctor/doctor.hpp"
#include "src/agent/agent.hpp"
#include "src/base/text.hpp"
#include "src/controller/server/server.hpp"
#include "src/os/cgroup.hpp"
#include "src/os/limits.hpp"
#include "src/os/seccomp.hpp"
#include "src/os/users.hpp"

namespace rexec::cli {
namespace {

constexpr rlim_t kEnoughFiles = 4096;  // a controller needs one a connection, an agent a few a job
constexpr std::uint64_t kEnoughDisk = 256ULL << 20;

Check check_kernel() {
  utsname name{};
  ::uname(&name);
  const std::string_view release = name.release;
  int major = 0;
  int minor = 0;
  const char* end = release.data() + release.size();
  const char* dot = std::from_chars(release.data(), end, major).ptr;
  if (dot != end && *dot == '.') std::from_chars(dot + 1, end, minor);
  Check check{"kernel", Health::kGood, std::string("Linux ") + name.release, {}};
  // 5.3 has pidfds and clone3, 5.14 cgroup.kill.
  if (major < 5 || (major == 5 && minor < 3)) {
    check.health = Health::kBad;
    check.mend = "an agent needs Linux 5.3 or newer";
  } else if (major == 5 && minor < 14) {
    check.health = Health::kDegraded;
    check.mend = "from Linux 5.14 on a whole tree is ended at once (cgroup.kill)";
  }
  return check;
}

Check check_cgroup() {
  const Result<os::CgroupRoot> root = os::CgroupRoot::find("rexec-doctor");
  if (root) {
    ::rmdir(root->path().c_str());
    return {"cgroups", Health::kGood, "version 2, writable", {}};
  }
  return {"cgroups", Health::kDegraded, root.error().message,
          "jobs run without one; their processes are found through /proc"};
}

// What --cpu, --mem and --pids can be held to by an agent that is started like this.
Check check_limits() {
  const std::vector<std::string> missing = os::LimitRoots::unavailable();
  if (missing.empty()) return {"limits", Health::kGood, "cpu, memory and pids", {}};
  std::string names;
  for (const std::string& name : missing) names += (names.empty() ? "" : ", ") + name;
  return {"limits", Health::kDegraded, "not to be had: " + names + "; jobs that ask are refused",
          ::geteuid() != 0
              ? "run the agent as root, or in a unit with Delegate=yes"
              : "mount the controllers: version 2 with them in cgroup.controllers, or version 1 "
                "below /sys/fs/cgroup; a container needs a writable /sys/fs/cgroup"};
}

Check check_user() {
  if (::geteuid() != 0) {
    return {"user", Health::kDegraded, "not root: jobs run as you, and as nobody else",
            "run the agent as root to run jobs as other users"};
  }
  const auto user = os::find_user({}, os::kDaemonUser);
  if (user && *user)
    return {"user", Health::kGood, "root; what speaks to the network is user rexec", {}};
  return {"user", Health::kDegraded,
          "root, and there is no user rexec: what speaks to the network stays root, without "
          "capabilities",
          "adduser --system --group --no-create-home rexec"};
}

Check check_filter() {
  if (os::can_confine())
    return {"filter", Health::kGood, "what speaks to the network is held to its system calls", {}};
  return {"filter", Health::kDegraded,
          "no seccomp: what speaks to the network may use any system call",
          "a kernel with CONFIG_SECCOMP_FILTER; an emulator has none"};
}

Check check_files() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  Check check{"open files", Health::kGood, "at most " + std::to_string(limit.rlim_max), {}};
  if (limit.rlim_max == RLIM_INFINITY) check.finding = "no limit";
  if (limit.rlim_max < kEnoughFiles) {
    check.health = Health::kDegraded;
    check.mend = "raise it: LimitNOFILE= of the unit, or ulimit -Hn";
  }
  return check;
}

Check check_disk(const std::string& what, const std::string& path) {
  struct statvfs info{};
  if (::statvfs(path.c_str(), &info) != 0)
    return {what, Health::kSkipped, path + " is not there", {}};
  const std::uint64_t free = std::uint64_t{info.f_bavail} * info.f_frsize;
  Check check{what, Health::kGood, format_size(free) + " free in " + path, {}};
  if (free < kEnoughDisk) {
    check.health = Health::kDegraded;
    check.mend = "output that nobody has read yet needs room";
  }
  return check;
}

// A daemon that has its state here; nothing when there is none.
void check_daemon(Daemon daemon, std::vector<Check>& checks) {
  const Result<std::string> data = data_dir(Args{}, daemon);
  if (!data || ::access(data->c_str(), F_OK) != 0) return;
  const bool is_agent = daemon == Daemon::kAgent;
  const std::string name = is_agent ? "agent" : "controller here";
  const Result<wire::Map> status =
      is_agent ? agent::local_status(*data) : controller::local_status(*data);
  if (!status) {
    checks.push_back({name, Health::kDegraded, status.error().message, status.error().hint});
    return;
  }
  if (wire::bool_or(*status, "running", false)) {
    checks.push_back({name,
                      Health::kGood,
                      "runs as process " + std::to_string(wire::u64_or(*status, "pid", 0)),
                      {}});
  } else {
    checks.push_back({name, Health::kDegraded, "does not run",
                      std::string("start it: rexec ") + (is_agent ? "agent" : "controller") +
                          " run --data " + shell_quoted(*data)});
  }
  checks.push_back(check_disk(name + "'s disk", *data));
}

}  // namespace

std::vector<Check> check_machine() {
  std::vector<Check> checks{check_kernel(), check_cgroup(), check_limits(),
                            check_user(),   check_filter(), check_files()};
  check_daemon(Daemon::kController, checks);
  check_daemon(Daemon::kAgent, checks);
  return checks;
}

}  // namespace rexec::cli
