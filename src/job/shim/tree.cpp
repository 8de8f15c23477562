// See tree.hpp.
#include "src/job/shim/tree.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace rexec::job {
namespace {

// A subreaper without any child has no descendant either: one cheap call instead of a walk of
// /proc.
bool has_children() {
  siginfo_t info{};
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

void add(std::vector<os::ProcessInfo>& into, const os::ProcessInfo& process) {
  const auto same = [&](const os::ProcessInfo& p) { return p.pid == process.pid; };
  if (std::none_of(into.begin(), into.end(), same)) into.push_back(process);
}

}  // namespace

JobTree JobTree::of_shim(std::optional<os::Cgroup> cgroup) {
  JobTree tree;
  tree.cgroup_ = std::move(cgroup);
  tree.subreaper_ = ::getpid();
  return tree;
}

JobTree JobTree::of_orphans(const AttemptKey& key, std::optional<os::Cgroup> cgroup,
                            os::ProcessInfo leader) {
  JobTree tree;
  tree.cgroup_ = std::move(cgroup);
  tree.key_ = key;
  tree.leader_ = leader;
  return tree;
}

// Orphans: the leader if it is still that process, whoever carries the mark, and all below them.
std::vector<os::ProcessInfo> JobTree::marked() const {
  const auto all = os::list_processes();
  const std::string job = "REXEC_JOB=" + key_.job.text;
  const std::string attempt = "REXEC_ATTEMPT=" + std::to_string(key_.attempt);
  std::vector<os::ProcessInfo> found;
  for (const auto& process : all) {
    if (process.pid == ::getpid() || process.state == 'Z' || process.state == 'X') continue;
    const bool leader = process.pid == leader_.pid && process.start_ticks == leader_.start_ticks;
    if (leader ||
        (os::has_environment(process.pid, job) && os::has_environment(process.pid, attempt)))
      add(found, process);
  }
  for (std::size_t i = 0, roots = found.size(); i < roots; ++i)
    for (const auto& below : os::descendants(all, found[i].pid)) add(found, below);
  return found;
}

std::vector<os::ProcessInfo> JobTree::living() const {
  if (subreaper_ != 0)
    return has_children() ? os::descendants(os::list_processes(), subreaper_)
                          : std::vector<os::ProcessInfo>{};
  return marked();
}

void JobTree::signal_all(int signal) const {
  for (const auto& process : living()) {
    os::kill_exactly(process, signal);
    if (signal == SIGTERM) os::kill_exactly(process, SIGCONT);
  }
  if (cgroup_ && subreaper_ == 0) cgroup_->signal_all(signal);
}

void JobTree::kill_all() const {
  if (cgroup_) cgroup_->kill_all();
  for (const auto& process : living()) os::kill_exactly(process, SIGKILL);
}

bool JobTree::out_of_reach() const {
  const auto processes = living();
  const auto refuses = [](const os::ProcessInfo& p) {
    return ::kill(p.pid, 0) != 0 && errno == EPERM;
  };
  return !processes.empty() && std::all_of(processes.begin(), processes.end(), refuses);
}

bool JobTree::empty() const {
  if (cgroup_ && cgroup_->populated()) return false;
  return subreaper_ != 0 ? !has_children() : marked().empty();
}

bool JobTree::remove_cgroup() {
  if (!cgroup_) return true;
  if (!cgroup_->remove()) return false;
  cgroup_.reset();
  return true;
}

}  // namespace rexec::job
