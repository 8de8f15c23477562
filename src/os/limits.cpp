// See limits.hpp.
#include "src/os/limits.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "src/base/text.hpp"
#include "src/os/cgroup_files.hpp"

namespace rexec::os {
namespace {

constexpr std::uint64_t kPeriodMicros = 100'000;

// "12:memory:/a" → "/a"; the middle field may name several controllers.
std::string cgroup1_path(std::string_view controller, std::string_view proc_cgroup) {
  for (const auto& line : split(proc_cgroup, '\n')) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == line.npos ? line.npos : line.find(':', first + 1);
    if (second == line.npos) continue;
    const auto names = split(std::string_view(line).substr(first + 1, second - first - 1), ',');
    if (std::find(names.begin(), names.end(), controller) != names.end())
      return line.substr(second + 1);
  }
  return {};
}

std::string own_v1(const char* controller) {
  return cgroup1_directory(controller, slurp_at(AT_FDCWD, "/proc/self/mountinfo"),
                           slurp_at(AT_FDCWD, "/proc/self/cgroup"));
}

std::string make_v1_root(const char* controller) {
  const std::string own = own_v1(controller);
  if (own.empty()) return {};
  const std::string root = own + "/rexec";
  if (::mkdir(root.c_str(), 0755) != 0 && errno != EEXIST) return {};
  return ::access((root + "/cgroup.procs").c_str(), W_OK) == 0 ? root : "";
}

bool lists(const std::string& file, std::string_view word) {
  std::string text = slurp_at(AT_FDCWD, file.c_str());
  std::replace(text.begin(), text.end(), '\n', ' ');
  const auto words = split(text, ' ');
  return std::find(words.begin(), words.end(), word) != words.end();
}

// A group that hands controllers on may hold no process itself, so the agent steps into a group of
// its own. Back again if that does not help (somebody else is in there too).
void enable(const std::string& parent, const char* controller) {
  const std::string word = std::string("+") + controller;
  const std::string control = parent + "/cgroup.subtree_control";
  if (put_at(AT_FDCWD, control.c_str(), word) || errno != EBUSY) return;
  const std::string aside = parent + "/rexec-agent";
  if (::mkdir(aside.c_str(), 0755) != 0 && errno != EEXIST) return;
  if (!put_at(AT_FDCWD, (aside + "/cgroup.procs").c_str(), "0")) return;
  if (put_at(AT_FDCWD, control.c_str(), word)) return;
  put_at(AT_FDCWD, (parent + "/cgroup.procs").c_str(), "0");
  ::rmdir(aside.c_str());
}

bool enable_unified(const CgroupRoot* root, const char* controller) {
  if (root == nullptr) return false;
  const std::string& path = root->path();
  const std::string parent = path.substr(0, path.rfind('/'));
  if (!lists(parent + "/cgroup.controllers", controller)) return false;
  if (!lists(parent + "/cgroup.subtree_control", controller)) enable(parent, controller);
  put_at(AT_FDCWD, (path + "/cgroup.subtree_control").c_str(), std::string("+") + controller);
  return lists(path + "/cgroup.subtree_control", controller);
}

Result<void> write_limit(const std::string& group, const char* file, const std::string& value) {
  if (put_at(AT_FDCWD, (group + "/" + file).c_str(), value)) return {};
  return fail_errno(group + "/" + file, errno);
}

struct Setting {
  const char* v1;
  const char* v2;
  std::string v1_value;
  std::string v2_value;
};

Setting cpu_setting(std::uint64_t milli) {
  const std::string quota =
      std::to_string(std::max<std::uint64_t>(milli * kPeriodMicros / 1000, 1000));
  return {"cpu.cfs_quota_us", "cpu.max", quota, quota + " " + std::to_string(kPeriodMicros)};
}
Setting memory_setting(std::uint64_t bytes) {
  const std::string value = std::to_string(bytes);
  return {"memory.limit_in_bytes", "memory.max", value, value};
}
Setting pids_setting(std::uint64_t pids) {
  return {"pids.max", "pids.max", std::to_string(pids), std::to_string(pids)};
}

}  // namespace

std::string cgroup1_directory(std::string_view controller, std::string_view mountinfo,
                              std::string_view proc_cgroup) {
  const std::string own = cgroup1_path(controller, proc_cgroup);
  if (own.empty()) return {};
  for (const auto& line : split(mountinfo, '\n')) {
    const std::size_t dash = line.find(" - cgroup ");
    if (dash == line.npos) continue;
    const auto before = split(std::string_view(line).substr(0, dash), ' ');
    const auto after = split(std::string_view(line).substr(dash + 3), ' ');
    if (before.size() < 6 || after.size() < 3) continue;
    const auto options = split(after[2], ',');
    if (std::find(options.begin(), options.end(), controller) == options.end()) continue;
    const std::string root = before[3] == "/" ? "" : unescape_mount(before[3]);
    const std::string below = own.starts_with(root) ? own.substr(root.size()) : own;
    return unescape_mount(before[4]) + (below == "/" ? "" : below);
  }
  return {};
}

LimitRoots LimitRoots::find(const CgroupRoot* root) {
  LimitRoots roots;
  const auto look = [root](Controller& controller, const char* name) {
    controller.unified = enable_unified(root, name);
    if (!controller.unified) controller.directory = make_v1_root(name);
  };
  look(roots.cpu_, "cpu");
  look(roots.memory_, "memory");
  look(roots.pids_, "pids");
  return roots;
}

std::vector<std::string> LimitRoots::unavailable() {
  const std::string mounts = slurp_at(AT_FDCWD, "/proc/self/mountinfo");
  const std::string own = slurp_at(AT_FDCWD, "/proc/self/cgroup");
  const auto root = CgroupRoot::find("rexec-doctor");
  std::string parent;
  if (root) {
    parent = root->path().substr(0, root->path().rfind('/'));
    ::rmdir(root->path().c_str());
  }
  std::vector<std::string> none;
  for (const char* name : {"cpu", "memory", "pids"}) {
    if (!parent.empty() && lists(parent + "/cgroup.controllers", name)) continue;
    const std::string old = cgroup1_directory(name, mounts, own);
    if (old.empty() || ::access(old.c_str(), W_OK) != 0) none.emplace_back(name);
  }
  return none;
}

std::string LimitRoots::missing(const Limits& limits) const {
  if (limits.cpu_milli != 0 && !cpu_.there()) return "cpu";
  if (limits.memory_bytes != 0 && !memory_.there()) return "memory";
  if (limits.pids != 0 && !pids_.there()) return "pids";
  return {};
}

std::vector<std::string> LimitRoots::directories() const {
  std::vector<std::string> all;
  for (const Controller* controller : {&cpu_, &memory_, &pids_})
    if (!controller->directory.empty()) all.push_back(controller->directory);
  return all;
}

Result<JobLimits> JobLimits::set(const LimitRoots& roots, const std::string& name,
                                 const Limits& limits, const Cgroup* unified) {
  JobLimits job;
  Result<void> done;
  const auto apply = [&](const LimitRoots::Controller& controller, const Setting& setting) {
    if (controller.unified && unified != nullptr)
      return write_limit(unified->path(), setting.v2, setting.v2_value);
    if (controller.directory.empty())
      return Result<void>(fail(Code::kRefusedByNode, "limits are unavailable on this node"));
    const std::string group = controller.directory + "/" + name;
    if (::mkdir(group.c_str(), 0755) != 0 && errno != EEXIST)
      return Result<void>(fail_errno(group, errno));
    job.groups_.push_back(group);
    return write_limit(group, setting.v1, setting.v1_value);
  };
  if (limits.cpu_milli != 0) done = apply(roots.cpu_, cpu_setting(limits.cpu_milli));
  if (done && limits.pids != 0) done = apply(roots.pids_, pids_setting(limits.pids));
  if (done && limits.memory_bytes != 0) {
    done = apply(roots.memory_, memory_setting(limits.memory_bytes));
    if (roots.memory_.unified && unified != nullptr) {
      put_at(AT_FDCWD, (unified->path() + "/memory.oom.group").c_str(), "1");
      put_at(AT_FDCWD, (unified->path() + "/memory.swap.max").c_str(), "0");
    } else if (done) {
      job.memory_group_ = job.groups_.back();
      // Swap counts too, where it is accounted.
      put_at(AT_FDCWD, (job.memory_group_ + "/memory.memsw.limit_in_bytes").c_str(),
             std::to_string(limits.memory_bytes));
    }
  }
  if (done) return job;
  job.remove();
  return std::unexpected(done.error());
}

Result<void> JobLimits::join(pid_t pid) const {
  for (const std::string& group : groups_)
    if (auto joined = write_limit(group, "cgroup.procs", std::to_string(pid)); !joined)
      return joined;
  return {};
}

bool JobLimits::out_of_memory() const {
  if (memory_group_.empty()) return false;
  const std::string text = slurp_at(AT_FDCWD, (memory_group_ + "/memory.oom_control").c_str());
  const std::size_t at = text.find("oom_kill ");
  return at != std::string::npos && text.compare(at + 9, 2, "0\n") != 0;
}

UniqueFd JobLimits::memory_events() const {
  if (memory_group_.empty()) return UniqueFd();
  UniqueFd events(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const UniqueFd control(
      ::open((memory_group_ + "/memory.oom_control").c_str(), O_RDONLY | O_CLOEXEC));
  if (!events || !control) return UniqueFd();
  const std::string pair = std::to_string(events.get()) + " " + std::to_string(control.get());
  if (!put_at(AT_FDCWD, (memory_group_ + "/cgroup.event_control").c_str(), pair)) return UniqueFd();
  return events;
}

void JobLimits::remove() {
  for (const std::string& group : groups_) ::rmdir(group.c_str());
  groups_.clear();
}

}  // namespace rexec::os
