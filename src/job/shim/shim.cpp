// See shim.hpp.
#include "src/job/shim/shim.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>

#include "src/base/cut_text.hpp"
#include "src/base/fail_point.hpp"
#include "src/base/text.hpp"
#include "src/job/shim/journal.hpp"
#include "src/job/shim/leftover.hpp"
#include "src/job/shim/supervisor.hpp"
#include "src/os/privilege.hpp"
#include "src/os/seqpacket.hpp"

namespace rexec::job {
namespace {

constexpr int kControl = 3;
constexpr int kJobs = 4;
constexpr std::string_view kWarmPrefix = ".warm-";

// Nothing of the spawner stays open, least of all its stderr: who waits for the agent's output to
// end must not wait for its jobs.
void leave_the_spawner(int control, int jobs) {
  ::setsid();
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (!os::install_descriptors({null, null, null, control, jobs})) ::_exit(1);
  for (const int fd : {kControl, kJobs}) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  if (::chdir("/") != 0) ::_exit(1);
  ::umask(077);
}

void settle() {
  ::prctl(PR_SET_NAME, "rexec-shim");
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  // The job's user may be ours: it must not trace us or read our memory.
  os::hide_memory();
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

std::string own_cgroup_name() {
  return cgroup_name(::getpid(), os::start_ticks(::getpid()).value_or(0));
}

std::optional<os::Cgroup> own_cgroup(const NodeCgroups& cgroups) {
  if (!cgroups.root) return std::nullopt;
  auto made = os::Cgroup::make(*cgroups.root, own_cgroup_name());
  if (!made) return std::nullopt;
  return std::move(*made);
}

// What can be done before there is an order.
struct Prepared {
  std::string name;
  os::UniqueFd directory;
  os::UniqueFd listener;
  std::optional<os::Cgroup> cgroup;
};

// All files of the start and the end, so that later nothing has to be created.
void prepare_directory(Prepared& prepared) {
  // Under its final name only when it is complete: the spawner takes it by that name at any moment.
  const std::string making = prepared.name + "-making";
  if (::mkdirat(kJobs, making.c_str(), 0700) != 0) return;
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  prepared.directory.reset(::openat(kJobs, making.c_str(), kFlags));
  const int dir = prepared.directory.get();
  if (!take_lock(dir)) return;
  for (const char* name : {"spec", "meta", "started.tmp"})
    if (!os::create_file_at(dir, name)) return;
  if (!reserve_record(dir)) return;
  auto listener = os::listen_seqpacket(dir, "sock");
  if (!listener || ::renameat(kJobs, making.c_str(), kJobs, prepared.name.c_str()) != 0) return;
  prepared.listener = std::move(*listener);
}

// Only under a name that nobody else can mean by now: it may have become an attempt's directory.
void discard_directory(int jobs, const std::string& name) {
  const std::string dead = name + "-dead";
  if (::renameat(jobs, name.c_str(), jobs, dead.c_str()) != 0) return;
  remove_directory(jobs, dead);
}

[[noreturn]] void quit(int status, Prepared& prepared) {
  if (prepared.cgroup) prepared.cgroup->remove();
  discard_directory(kJobs, prepared.name);
  ::_exit(status);
}

// The message's first byte says which descriptors follow the plan's.
std::optional<ShimOrder> wait_for_order(Prepared& prepared) {
  std::uint8_t message[4];
  os::Received got = os::receive_message(kControl, message);
  if (got.status != os::IoStatus::kDone || got.size != 2) return std::nullopt;
  const std::size_t with_net = message[0], with_directory = message[1];
  if (got.fds.size() != 1 + with_net + with_directory) return std::nullopt;
  ShimOrder order;
  order.plan = std::move(got.fds[0]);
  if (with_net != 0) order.net = std::move(got.fds[1]);
  order.jobs = kJobs;
  if (with_directory == 0) {
    order.directory = std::move(prepared.directory);
    order.listener = std::move(prepared.listener);
    if (!order.listener) return std::nullopt;
  } else {
    order.directory = std::move(got.fds.back());
    discard_directory(kJobs, prepared.name);
  }
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

[[noreturn]] void report_and_quit(const Error& error, Prepared& prepared) {
  (void)os::send_message(kControl, as_bytes(cut_text(error.message, 1024)));
  quit(kShimCannotStart, prepared);
}

[[noreturn]] void run_shim(const std::string& name, const NodeCgroups& cgroups) {
  settle();
  fail_point(FailPoint::kShimSettled);
  Prepared prepared{name, {}, {}, own_cgroup(cgroups)};
  prepare_directory(prepared);
  fail_point(FailPoint::kShimPrepared);
  std::optional<ShimOrder> order = wait_for_order(prepared);
  if (!order) quit(0, prepared);  // the spawner is gone and there is no job
  fail_point(FailPoint::kShimOrdered);
  ShimPlan plan;
  LaunchParts parts;
  if (!read_plan(order->plan.get(), parts, plan)) quit(kShimCannotStart, prepared);
  const os::Cgroup* cgroup = prepared.cgroup ? &*prepared.cgroup : nullptr;
  const os::Limits limits{plan.cpu_milli, plan.memory_bytes, plan.pids};
  if (limits.any()) {
    auto set = os::JobLimits::set(cgroups.limits, own_cgroup_name(), limits, cgroup);
    if (!set) report_and_quit(set.error(), prepared);
    order->limits = std::move(*set);
  }
  auto started = start_attempt(*order, plan, parts, cgroup);
  if (!started) {
    order->limits.remove();
    if (started.error().code == Code::kConflict) quit(kShimConflict, prepared);
    report_and_quit(started.error(), prepared);
  }
  ::close(kControl);
  ::close(kJobs);
  order->plan.reset();
  os::EventLoop loop;
  Supervisor supervisor(loop, std::move(plan), std::move(*order), std::move(*started),
                        JobTree::of_shim(std::move(prepared.cgroup)));
  supervisor.run();
  read_what_is_left(supervisor.take_ends());
  ::_exit(0);
}

}  // namespace

NodeCgroups find_cgroups() {
  NodeCgroups cgroups;
  if (auto root = os::CgroupRoot::find("rexec")) cgroups.root = std::move(*root);
  cgroups.limits = os::LimitRoots::find(cgroups.root ? &*cgroups.root : nullptr);
  return cgroups;
}

Result<WarmShim> fork_shim(int jobs, const NodeCgroups& cgroups) {
  const std::string name = std::string(kWarmPrefix) + random_id('w');
  auto pair = os::make_seqpacket_pair(os::Blocking::kYes);
  if (!pair) return std::unexpected(pair.error());
  auto child = os::fork_process();
  if (!child) return std::unexpected(child.error());
  if (child->pid == 0) {
    leave_the_spawner(pair->second.get(), jobs);
    run_shim(name, cgroups);
  }
  return WarmShim{std::move(*child), name, std::move(pair->first)};
}

template <class T>
static bool parse_number(const std::string& text, T& number) {
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  return parsed.ec == std::errc() && parsed.ptr == end;
}

void sweep_cgroups(const NodeCgroups& cgroups) {
  std::vector<std::string> places = cgroups.limits.directories();
  if (cgroups.root) places.push_back(cgroups.root->path());
  for (const std::string& place : places) {
    const os::UniqueFd dir(::open(place.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!dir) continue;
    for (const std::string& name : list_directory(dir.get())) {
      const auto parts = split(name, '-');
      int pid = 0;
      std::uint64_t ticks = 0;
      if (parts.size() != 3 || parts[0] != "shim") continue;
      if (!parse_number(parts[1], pid) || !parse_number(parts[2], ticks)) continue;
      const auto living = os::start_ticks(pid);
      if (!living || *living != ticks) ::unlinkat(dir.get(), name.c_str(), AT_REMOVEDIR);
    }
  }
}

void sweep_warm_directories(int jobs) {
  for (const std::string& name : list_directory(jobs))
    if (name.starts_with(kWarmPrefix)) {
      const os::UniqueFd dir(::openat(jobs, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (dir && lock_holder(dir.get()) == 0) remove_directory(jobs, name);
    }
}

Result<void> order_shim(const WarmShim& shim, OrderFds fds) {
  std::vector<int> sent{fds.plan};
  if (fds.net >= 0) sent.push_back(fds.net);
  if (fds.directory >= 0) sent.push_back(fds.directory);
  const std::uint8_t message[] = {fds.net >= 0 ? std::uint8_t{1} : std::uint8_t{0},
                                  fds.directory >= 0 ? std::uint8_t{1} : std::uint8_t{0}};
  if (os::send_message(shim.control.get(), message, sent) != os::IoStatus::kDone)
    return fail(Code::kIo, "the waiting shim is gone");
  return {};
}

}  // namespace rexec::job
