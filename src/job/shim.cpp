// See shim.hpp.
#include "src/job/shim.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>

#include "src/job/journal.hpp"
#include "src/job/supervisor.hpp"
#include "src/os/seqpacket.hpp"

namespace rexec::job {
namespace {

constexpr int kControl = 3;

// Nothing of the spawner stays open, least of all its stderr: who waits for the agent's output to
// end must not wait for its jobs.
void leave_the_spawner(int control) {
  ::setsid();
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (!os::install_descriptors({null, null, null, control})) ::_exit(1);
  ::fcntl(kControl, F_SETFD, FD_CLOEXEC);
  if (::chdir("/") != 0) ::_exit(1);
  ::umask(077);
}

void settle() {
  ::prctl(PR_SET_NAME, "rexec-shim");
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  // The job's user may be ours: it must not trace us or read our memory.
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  ::prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
  os::reset_signals();
  // It ends with its job and for no other reason short of SIGKILL.
  for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM,
                           SIGTSTP, SIGTTIN, SIGTTOU, SIGXFSZ})
    ::signal(signal, SIG_IGN);
  if (::geteuid() != 0) return;
  // Jobs die of memory pressure before shims, shims before the agent.
  const os::UniqueFd score(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (score) (void)os::write_all(score.get(), as_bytes("-500"));
}

// Unique for as long as the machine runs: processes left in a cgroup on purpose are never joined by
// another job.
std::string cgroup_name(pid_t pid, std::uint64_t ticks) {
  return "shim-" + std::to_string(pid) + "-" + std::to_string(ticks);
}

std::optional<os::Cgroup> own_cgroup(const std::optional<os::CgroupRoot>& cgroups) {
  if (!cgroups) return std::nullopt;
  const pid_t pid = ::getpid();
  auto made = os::Cgroup::make(*cgroups, cgroup_name(pid, os::start_ticks(pid).value_or(0)));
  if (!made) return std::nullopt;
  return std::move(*made);
}

[[noreturn]] void quit(int status, std::optional<os::Cgroup>& cgroup) {
  if (cgroup) cgroup->remove();
  ::_exit(status);
}

std::optional<ShimOrder> wait_for_order() {
  std::uint8_t message[16];
  os::Received got = os::receive_message(kControl, message);
  if (got.status != os::IoStatus::kDone || got.fds.size() < 2) return std::nullopt;
  ShimOrder order{std::move(got.fds[0]), std::move(got.fds[1]), {}};
  if (got.fds.size() > 2) order.net = std::move(got.fds[2]);
  return order;
}

bool read_plan(int memfd, LaunchParts& parts, ShimPlan& plan) {
  std::uint8_t header[kLaunchHeader];
  if (::pread(memfd, header, sizeof(header), 0) != static_cast<ssize_t>(sizeof(header)))
    return false;
  parts = launch_parts(header);
  Buffer bytes(parts.shim_size);
  const ssize_t n = ::pread(memfd, bytes.data(), bytes.size(), kLaunchHeader);
  return n == static_cast<ssize_t>(bytes.size()) && decode_shim_plan(bytes, plan);
}

[[noreturn]] void run_shim(const std::optional<os::CgroupRoot>& cgroups) {
  settle();
  std::optional<os::Cgroup> cgroup = own_cgroup(cgroups);
  std::optional<ShimOrder> order = wait_for_order();
  if (!order) quit(0, cgroup);  // the spawner is gone and there is no job
  ShimPlan plan;
  LaunchParts parts;
  if (!read_plan(order->plan.get(), parts, plan)) quit(kShimCannotStart, cgroup);
  auto started = start_attempt(*order, plan, parts, cgroup ? &*cgroup : nullptr);
  if (!started) {
    if (started.error().code == Code::kConflict) quit(kShimConflict, cgroup);
    (void)os::send_message(kControl, as_bytes(started.error().message.substr(0, 1024)));
    quit(kShimCannotStart, cgroup);
  }
  ::close(kControl);
  order->plan.reset();
  os::EventLoop loop;
  Supervisor supervisor(loop, std::move(plan), std::move(*order), std::move(*started),
                        JobTree::of_shim(std::move(cgroup)));
  supervisor.run();
  ::_exit(0);
}

}  // namespace

Result<WarmShim> fork_shim(const std::optional<os::CgroupRoot>& cgroups) {
  auto pair = os::make_seqpacket_pair(os::Blocking::kYes);
  if (!pair) return std::unexpected(pair.error());
  auto child = os::fork_process();
  if (!child) return std::unexpected(child.error());
  if (child->pid == 0) {
    leave_the_spawner(pair->second.get());
    run_shim(cgroups);
  }
  return WarmShim{std::move(*child), std::move(pair->first)};
}

void sweep_cgroups(const os::CgroupRoot& cgroups) {
  DIR* directory = ::opendir(cgroups.path().c_str());
  if (directory == nullptr) return;
  while (const dirent* entry = ::readdir(directory)) {
    int pid = 0;
    unsigned long long ticks = 0;
    if (std::sscanf(entry->d_name, "shim-%d-%llu", &pid, &ticks) != 2) continue;
    const auto living = os::start_ticks(pid);
    if (living && *living == ticks) continue;
    ::unlinkat(::dirfd(directory), entry->d_name, AT_REMOVEDIR);
  }
  ::closedir(directory);
}

Result<void> order_shim(const WarmShim& shim, int attempt_directory, int plan_memfd, int net) {
  const int fds[] = {attempt_directory, plan_memfd, net};
  const std::span<const int> sent(fds, net < 0 ? 2 : 3);
  if (os::send_message(shim.control.get(), as_bytes("start"), sent) != os::IoStatus::kDone)
    return fail(Code::kIo, "the waiting shim is gone");
  return {};
}

}  // namespace rexec::job
