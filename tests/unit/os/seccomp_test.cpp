// The filter of a network process, on a real kernel: each try is a child that is confined and says
// by its exit status what became of one call.
#include "src/os/seccomp.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <functional>
#include <thread>

#include "src/os/privilege.hpp"

namespace rexec::os {
namespace {

constexpr int kWorked = 200;

// The errno of a call in a confined child, or kWorked.
int tried(const std::function<bool()>& call) {
  const pid_t child = ::fork();
  if (child == 0) {
    harden();
    if (confine_to_network() != Confined::kYes) ::_exit(201);
    errno = 0;
    const bool worked = call();
    ::_exit(worked ? kWorked : errno);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

int tried_call(long number, long a = 0, long b = 0, long c = 0) {
  return tried([=] { return ::syscall(number, a, b, c) >= 0; });
}

bool is_here() {
  if (can_confine()) return true;
  std::puts("skipped: seccomp: not here: no seccomp, or a sanitizer");
  return false;
}

TEST_CASE("seccomp: a confined process starts no program and makes no process") {
  if (!is_here()) return;
  CHECK(tried([] {
          ::execl("/bin/true", "true", nullptr);
          return false;
        }) == EPERM);
  CHECK(tried_call(SYS_execveat, -1, 0, 0) == EPERM);
  CHECK(tried([] { return ::fork() >= 0; }) == EPERM);
  CHECK(tried_call(SYS_clone, SIGCHLD) == EPERM);
  CHECK(tried_call(SYS_clone3) == ENOSYS);
#ifdef SYS_vfork
  CHECK(tried_call(SYS_vfork) == EPERM);
#endif
}

TEST_CASE("seccomp: a confined process neither looks into another nor becomes one") {
  if (!is_here()) return;
  CHECK(tried([] { return ::ptrace(PTRACE_ATTACH, ::getppid(), nullptr, nullptr) == 0; }) == EPERM);
  CHECK(tried_call(SYS_process_vm_readv) == EPERM);
  CHECK(tried_call(SYS_pidfd_open, ::getpid()) == EPERM);
  CHECK(tried([] { return ::kill(::getppid(), 0) == 0; }) == EPERM);
  CHECK(tried([] { return ::kill(::getpid(), 0) == 0; }) == kWorked);
  CHECK(tried_call(SYS_setuid) == EPERM);
  CHECK(tried_call(SYS_setresgid) == EPERM);
  CHECK(tried_call(SYS_setgroups) == EPERM);
  CHECK(tried_call(SYS_capset) == EPERM);
  CHECK(tried([] { return ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0; }) == EPERM);
}

TEST_CASE("seccomp: a confined process changes nothing of the system and loads no code") {
  if (!is_here()) return;
  for (const long call : {SYS_mount,
                          SYS_umount2,
                          SYS_bpf,
                          SYS_keyctl,
                          SYS_init_module,
                          SYS_finit_module,
                          SYS_reboot,
                          SYS_unshare,
                          SYS_setns,
                          SYS_pivot_root,
                          SYS_chroot,
                          SYS_perf_event_open,
                          SYS_userfaultfd,
                          SYS_io_uring_setup,
                          SYS_settimeofday,
                          SYS_sethostname,
                          SYS_swapon,
                          SYS_personality,
                          SYS_open_by_handle_at,
                          SYS_mknodat,
                          SYS_linkat,
                          SYS_symlinkat})
    CHECK_MESSAGE(tried_call(call) == EPERM, "system call ", call);
  CHECK(tried([] { return ::socket(AF_PACKET, SOCK_RAW, 0) >= 0; }) == EPERM);
  CHECK(tried([] { return ::ioctl(0, TIOCSTI, "x") == 0; }) == EPERM);
  CHECK(tried([] {
          return ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
                 MAP_FAILED;
        }) == EPERM);
  CHECK(tried([] {
          void* page =
              ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
          return page != MAP_FAILED && ::mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0;
        }) == EPERM);
}

TEST_CASE("seccomp: threads, sockets and files work in a confined process") {
  if (!is_here()) return;
  CHECK(tried([] {
          int seen = 0;
          std::thread([&seen] { seen = 7; }).join();
          return seen == 7;
        }) == kWorked);
  CHECK(tried([] { return ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0; }) == kWorked);
  CHECK(tried([] { return ::open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0; }) == kWorked);
  // The other thread is confined as well.
  CHECK(tried([] {
          int error = 0;
          std::thread([&error] { error = ::setuid(0) == 0 ? 0 : errno; }).join();
          errno = error;
          return error == 0;
        }) == EPERM);
}

}  // namespace
}  // namespace rexec::os
