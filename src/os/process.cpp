// clone3, pidfd and wait. See process.hpp.
#include "src/os/process.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include "src/os/proc.hpp"

namespace rexec::os {
namespace {

constexpr int kPidfd = 3;  // P_PIDFD; <sys/wait.h> has it as an enumerator only in newer glibc

siginfo_t wait_for(int type, int id, int options) {
  siginfo_t info{};
  while (::syscall(SYS_waitid, type, id, &info, options, nullptr) != 0) {
    if (errno == EINTR) continue;
    info.si_pid = 0;
    break;
  }
  return info;
}

Result<ProcessInfo> read_stat(pid_t pid) {
  const std::string name = std::to_string(pid) + "/stat";
  UniqueFd proc(::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  UniqueFd fd(::openat(proc.get(), name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno("/proc/" + name, errno);
  char text[1024];
  const ssize_t n = ::read(fd.get(), text, sizeof(text));
  ProcessInfo info;
  if (n <= 0 || !parse_stat({text, static_cast<std::size_t>(n)}, info))
    return fail(Code::kIo, "/proc/" + name + ": unreadable");
  return info;
}

[[noreturn]] void exec_program(const std::vector<std::string>& argv,
                               const std::vector<std::string>& environment, int output) {
  std::vector<char*> arguments, variables;
  for (const auto& a : argv) arguments.push_back(const_cast<char*>(a.c_str()));
  for (const auto& e : environment) variables.push_back(const_cast<char*>(e.c_str()));
  arguments.push_back(nullptr);
  variables.push_back(nullptr);
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  reset_signals();
  if (null >= 0 && install_descriptors({null, output, null}))
    ::execve(arguments[0], arguments.data(), variables.data());
  ::_exit(127);
}

}  // namespace

Result<Child> fork_process(int cgroup_fd) {
  int pidfd = -1;
  clone_args args{};
  args.flags = CLONE_PIDFD;
  args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  if (cgroup_fd >= 0) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<std::uint64_t>(cgroup_fd);
  }
  // The raw call skips glibc's atfork handlers, which only matter to threads and there are none.
  const long pid = ::syscall(SYS_clone3, &args, sizeof(args));
  if (pid < 0) return fail_errno("clone3", errno);
  if (pid == 0) return Child{};
  return Child{static_cast<pid_t>(pid), UniqueFd(pidfd)};
}

std::optional<ExitStatus> reap(int pidfd) {
  const siginfo_t info = wait_for(kPidfd, pidfd, WEXITED | WNOHANG);
  if (info.si_pid == 0) return std::nullopt;
  if (info.si_code == CLD_EXITED) return ExitStatus{info.si_status, 0};
  return ExitStatus{0, info.si_status};
}

void reap_killed(int pidfd) { wait_for(kPidfd, pidfd, WEXITED); }

int reap_orphans(pid_t keep) {
  int reaped = 0;
  while (true) {
    // Looked at before it is collected: the leader is reap()'s, and hides the others only until
    // then.
    const pid_t pid = wait_for(P_ALL, 0, WEXITED | WNOHANG | WNOWAIT).si_pid;
    if (pid == 0 || pid == keep) return reaped;
    if (wait_for(P_PID, pid, WEXITED | WNOHANG).si_pid != 0) ++reaped;
  }
}

pid_t take_stopped_child() { return wait_for(P_ALL, 0, WSTOPPED | WNOHANG).si_pid; }

bool is_stopped(pid_t pid) {
  const auto info = read_stat(pid);
  return info && info->state == 'T';
}

Result<UniqueFd> open_signals(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) return fail_errno("sigprocmask", errno);
  UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return fail_errno("signalfd", errno);
  return fd;
}

int take_signal(int fd) {
  signalfd_siginfo info{};
  if (::read(fd, &info, sizeof(info)) != static_cast<ssize_t>(sizeof(info))) return 0;
  return static_cast<int>(info.ssi_signo);
}

Result<UniqueFd> open_pidfd(pid_t pid) {
  UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!fd) return fail_errno("pidfd_open", errno);
  return fd;
}

bool send_signal(int pidfd, int signal) {
  return ::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) == 0;
}

Result<Program> run_program(const std::vector<std::string>& argv,
                            const std::vector<std::string>& environment) {
  auto pipe = make_pipe();
  if (!pipe) return std::unexpected(pipe.error());
  auto child = fork_process();
  if (!child) return std::unexpected(child.error());
  if (child->pid == 0) exec_program(argv, environment, pipe->write_end.get());
  return Program{std::move(*child), std::move(pipe->read_end)};
}

void reset_signals() {
  // The kernel's own call, all zero: the default in every layout. The C library refuses its two
  // internal signals, which a parent that used posix_spawn (make, for one) has left ignored.
  constexpr std::array<std::uint64_t, 8> kDefault{};
  constexpr std::size_t kSetSize = 8;
  for (int signal = 1; signal <= SIGRTMAX; ++signal)
    ::syscall(SYS_rt_sigaction, signal, kDefault.data(), nullptr, kSetSize);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

void close_from(int first) { ::syscall(SYS_close_range, static_cast<unsigned>(first), ~0u, 0); }

bool install_descriptors(std::vector<int> fds) {
  const int count = static_cast<int>(fds.size());
  // First out of the way of the targets, so that no dup2 overwrites a descriptor still needed.
  for (int& fd : fds) {
    if (fd >= count) continue;
    fd = ::fcntl(fd, F_DUPFD_CLOEXEC, count);
    if (fd < 0) return false;
  }
  for (int i = 0; i < count; ++i)
    if (::dup2(fds[static_cast<std::size_t>(i)], i) != i) return false;
  close_from(count);
  return true;
}

Result<std::uint64_t> start_ticks(pid_t pid) {
  const auto info = read_stat(pid);
  if (!info) return std::unexpected(info.error());
  return info->start_ticks;
}

std::string boot_id() {
  UniqueFd fd(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  char text[64];
  const ssize_t n = fd ? ::read(fd.get(), text, sizeof(text)) : 0;
  std::string id(text, n > 0 ? static_cast<std::size_t>(n) : 0);
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

}  // namespace rexec::os
