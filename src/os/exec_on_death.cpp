// See exec_on_death.hpp.
#include "src/os/exec_on_death.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

extern "C" char** environ;

namespace rexec::os {
namespace {

constexpr int kParent = 3;  // its pidfd's number in the child

// In the child of a process that may have threads: system calls only, and nothing that another
// process waits to see closed stays open.
[[noreturn]] void wait_and_become(int parent, const char* path, char* const* argv) {
  ::setsid();
  if (parent != kParent && ::dup3(parent, kParent, O_CLOEXEC) < 0) ::_exit(127);
  close_from(kParent + 1);
  for (int fd = 0; fd < kParent; ++fd) ::close(fd);
  pollfd end{kParent, POLLIN, 0};
  while (::poll(&end, 1, -1) < 0 && errno == EINTR) {
  }
  for (int fd = 0; fd < kParent; ++fd)
    if (::open("/dev/null", O_RDWR) != fd) ::_exit(127);
  reset_signals();
  ::execve(path, argv, environ);
  ::_exit(127);
}

}  // namespace

Result<void> ExecOnDeath::arm(const std::string& path, const std::vector<std::string>& argv) {
  auto parent = open_pidfd(::getpid());
  if (!parent) return std::unexpected(parent.error());
  std::vector<char*> arguments;
  for (const auto& one : argv) arguments.push_back(const_cast<char*>(one.c_str()));
  arguments.push_back(nullptr);
  // No handler of this process runs in the child, where it would write to this process's pipes.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  auto child = fork_process();
  if (child && child->pid == 0) wait_and_become(parent->get(), path.c_str(), arguments.data());
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!child) return std::unexpected(child.error());
  watcher_ = std::move(*child);
  return {};
}

void ExecOnDeath::disarm() {
  if (watcher_.pid == 0) return;
  send_signal(watcher_.pidfd.get(), SIGKILL);
  reap_killed(watcher_.pidfd.get());
  watcher_ = {};
}

}  // namespace rexec::os
