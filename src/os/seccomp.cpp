// The list, and its translation to BPF. See seccomp.hpp.
#include "src/os/seccomp.hpp"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

namespace rexec::os {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kArch = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArch = AUDIT_ARCH_AARCH64;
#else
constexpr std::uint32_t kArch = 0;
#endif

#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kSanitizer = true;  // their run time forks, traces and maps as it likes
#else
constexpr bool kSanitizer = false;
#endif

// Whatever their arguments. The frequent ones first: kernels before 5.11 walk the list.
constexpr std::uint32_t kAllowed[] = {
    // the reactor, sockets, files
    __NR_epoll_pwait,
    __NR_read,
    __NR_write,
    __NR_sendmsg,
    __NR_recvmsg,
    __NR_futex,
    __NR_readv,
    __NR_writev,
    __NR_recvfrom,
    __NR_sendto,
    __NR_timerfd_settime,
    __NR_epoll_ctl,
    __NR_clock_gettime,
    __NR_pread64,
    __NR_pwrite64,
    __NR_accept4,
    __NR_accept,
    __NR_bind,
    __NR_connect,
    __NR_listen,
    __NR_getsockname,
    __NR_getpeername,
    __NR_getsockopt,
    __NR_setsockopt,
    __NR_shutdown,
    __NR_sendmmsg,
    __NR_recvmmsg,
    __NR_socketpair,
    __NR_epoll_create1,
    __NR_eventfd2,
    __NR_timerfd_create,
    __NR_timerfd_gettime,
    __NR_signalfd4,
    __NR_pipe2,
    __NR_ppoll,
    __NR_pselect6,
    __NR_openat,
    __NR_close,
    __NR_close_range,
    __NR_fstat,
    __NR_newfstatat,
    __NR_statx,
    __NR_statfs,
    __NR_fstatfs,
    __NR_lseek,
    __NR_fcntl,
    __NR_flock,
    __NR_ftruncate,
    __NR_truncate,
    __NR_fallocate,
    __NR_fsync,
    __NR_fdatasync,
    __NR_sync_file_range,
    __NR_fadvise64,
    __NR_getdents64,
    __NR_getcwd,
    __NR_chdir,
    __NR_readlinkat,
    __NR_faccessat,
    __NR_faccessat2,
    __NR_unlinkat,
    __NR_renameat,
    __NR_renameat2,
    __NR_mkdirat,
    __NR_fchmod,
    __NR_fchmodat,
    __NR_fchown,
    __NR_fchownat,
    __NR_utimensat,
    __NR_umask,
    __NR_dup,
    __NR_dup3,
    __NR_memfd_create,
    __NR_sendfile,
    __NR_copy_file_range,
    // memory, threads, time, signals to itself
    __NR_brk,
    __NR_munmap,
    __NR_mremap,
    __NR_madvise,
    __NR_mincore,
    __NR_sched_yield,
    __NR_sched_getaffinity,
    __NR_set_robust_list,
    __NR_get_robust_list,
    __NR_rseq,
    __NR_set_tid_address,
    __NR_membarrier,
    __NR_nanosleep,
    __NR_clock_nanosleep,
    __NR_clock_getres,
    __NR_gettimeofday,
    __NR_rt_sigaction,
    __NR_rt_sigprocmask,
    __NR_rt_sigreturn,
    __NR_rt_sigtimedwait,
    __NR_sigaltstack,
    __NR_restart_syscall,
    __NR_exit,
    __NR_exit_group,
    __NR_getrandom,
    // who and where it is
    __NR_getpid,
    __NR_getppid,
    __NR_gettid,
    __NR_getuid,
    __NR_geteuid,
    __NR_getgid,
    __NR_getegid,
    __NR_getgroups,
    __NR_uname,
    __NR_sysinfo,
    __NR_getrlimit,
    __NR_prlimit64,
    __NR_getrusage,
    __NR_times,
    __NR_getpgid,
    __NR_getcpu,
#if defined(__x86_64__)
    // the older names of some of the above
    __NR_epoll_wait,
    __NR_epoll_create,
    __NR_eventfd,
    __NR_poll,
    __NR_select,
    __NR_open,
    __NR_stat,
    __NR_lstat,
    __NR_readlink,
    __NR_access,
    __NR_unlink,
    __NR_rmdir,
    __NR_rename,
    __NR_mkdir,
    __NR_chmod,
    __NR_chown,
    __NR_pipe,
    __NR_dup2,
    __NR_getdents,
    __NR_time,
    __NR_arch_prctl,
    __NR_getpgrp,
#endif
};

// Allowed for these values of an argument only. An ioctl could type at a terminal.
struct Choice {
  std::uint32_t call;
  std::uint32_t argument;
  std::vector<std::uint32_t> values;
};

std::vector<Choice> choices(std::uint32_t own_pid) {
  constexpr std::uint32_t kSetVma = 0x53564d41;  // PR_SET_VMA: names for memory, from glibc 2.39 on
  return {{__NR_socket, 0, {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK}},
          {__NR_ioctl, 1, {FIONBIO, FIONREAD, FIOCLEX, TCGETS, TIOCGWINSZ}},
          {__NR_prctl, 0, {PR_SET_NAME, PR_GET_NAME, kSetVma}},
          {__NR_kill, 0, {own_pid}},
          {__NR_tkill, 0, {own_pid}},
          {__NR_tgkill, 0, {own_pid}}};
}

class Program {
 public:
  void load(std::size_t offset) {
    add(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
  }
  void load_argument(std::uint32_t index) {
    load(offsetof(seccomp_data, args) + index * sizeof(std::uint64_t));  // its low half
  }
  void answer(std::uint32_t action) { add(BPF_RET | BPF_K, action); }
  void refuse(int error) { answer(SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error)); }
  void allow() { answer(SECCOMP_RET_ALLOW); }
  // Skip `count` instructions.
  void skip_if_equal(std::uint32_t value, std::uint8_t count) {
    code_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, count, 0));
  }
  void skip_unless_equal(std::uint32_t value, std::uint8_t count) {
    code_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, count));
  }
  void skip_unless_bits(std::uint32_t bits, std::uint8_t count) {
    code_.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 0, count));
  }
  void skip_if_below(std::uint32_t value, std::uint8_t count) {
    code_.push_back(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, value, 0, count));
  }
  std::vector<sock_filter> take() { return std::move(code_); }

 private:
  void add(int code, std::uint32_t value) {
    code_.push_back(BPF_STMT(static_cast<std::uint16_t>(code), value));
  }
  std::vector<sock_filter> code_;
};

// Another way to number the calls (32 bits, x32) is another list: none of them.
void check_numbering(Program& program) {
  program.load(offsetof(seccomp_data, arch));
  program.skip_if_equal(kArch, 1);
  program.refuse(EPERM);
  program.load(offsetof(seccomp_data, nr));
  constexpr std::uint32_t kX32 = 0x40000000;
  program.skip_if_below(kX32, 1);
  program.refuse(EPERM);
}

// Code comes from the binary alone.
void allow_data_only(Program& program, std::uint32_t call) {
  program.skip_unless_equal(call, 4);
  program.load_argument(2);
  program.skip_unless_bits(PROT_EXEC, 1);
  program.refuse(EPERM);
  program.allow();
}

void allow_choice(Program& program, const Choice& choice) {
  const auto size = static_cast<std::uint8_t>(2 + 2 * choice.values.size());
  program.skip_unless_equal(choice.call, size);
  program.load_argument(choice.argument);
  for (const std::uint32_t value : choice.values) {
    program.skip_unless_equal(value, 1);
    program.allow();
  }
  program.refuse(EPERM);
}

}  // namespace

std::vector<sock_filter> network_filter(std::uint32_t own_pid) {
  if (kArch == 0) return {};
  Program program;
  check_numbering(program);
  for (const std::uint32_t call : kAllowed) {
    program.skip_unless_equal(call, 1);
    program.allow();
  }
  for (const std::uint32_t call : {__NR_mmap, __NR_mprotect}) allow_data_only(program, call);
  for (const Choice& choice : choices(own_pid)) allow_choice(program, choice);
  program.skip_unless_equal(__NR_clone3, 1);
  program.refuse(ENOSYS);
  program.skip_unless_equal(__NR_clone, 3);
  program.load_argument(0);
  program.skip_unless_bits(CLONE_THREAD, 1);
  program.allow();
  program.refuse(EPERM);
  return program.take();
}

Confined confine_to_network() {
  if (kSanitizer || kArch == 0) return Confined::kUnavailable;
  auto code = network_filter(static_cast<std::uint32_t>(::getpid()));
  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  const long set =
      ::syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
  return set == 0 ? Confined::kYes : Confined::kUnavailable;
}

bool can_confine() {
  const std::uint32_t action = SECCOMP_RET_ERRNO;
  return kArch != 0 && !kSanitizer &&
         ::syscall(__NR_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

}  // namespace rexec::os
