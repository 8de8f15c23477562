#include <doctest/doctest.h>
#include <sys/syscall.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <array>
#include <filesystem>
#include <fstream>

#include "src/os/cgroup.hpp"
#include "src/os/epoll.hpp"
#include "src/os/fd.hpp"
#include "src/os/limits.hpp"
#include "src/os/proc.hpp"
#include "src/os/process.hpp"
#include "src/os/pty.hpp"
#include "src/os/seqpacket.hpp"
#include "src/os/users.hpp"
#include "tests/support/until.hpp"

namespace rexec::os {
namespace {

std::string temporary_directory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "rexec-os-XXXXXX").string();
  REQUIRE(::mkdtemp(pattern.data()) != nullptr);
  return pattern;
}

TEST_CASE("memfd: it is sealed, and read_all gives the bytes back") {
  auto fd = make_memfd("test", as_bytes("content"));
  REQUIRE(fd);
  CHECK(::write(fd->get(), "x", 1) < 0);
  CHECK(::ftruncate(fd->get(), 0) < 0);
  CHECK(*read_all(fd->get(), 100) == "content");
  CHECK(read_all(fd->get(), 3).error().code == Code::kLimit);
  auto pipe = make_pipe();
  CHECK(!read_all(pipe->read_end.get(), 100));
}

TEST_CASE("seqpacket: messages keep their edges and carry descriptors") {
  auto pair = make_seqpacket_pair(Blocking::kNo);
  REQUIRE(pair);
  auto memfd = make_memfd("test", as_bytes("inside"));
  const int fds[] = {memfd->get(), memfd->get()};
  CHECK(send_message(pair->first.get(), as_bytes("one"), fds) == IoStatus::kDone);
  CHECK(send_message(pair->first.get(), as_bytes("two")) == IoStatus::kDone);
  std::uint8_t buffer[16];
  Received got = receive_message(pair->second.get(), buffer);
  CHECK(got.status == IoStatus::kDone);
  CHECK(as_text({buffer, got.size}) == "one");
  REQUIRE(got.fds.size() == 2);
  CHECK(*read_all(got.fds[1].get(), 100) == "inside");
  CHECK((::fcntl(got.fds[0].get(), F_GETFD) & FD_CLOEXEC) != 0);
  got = receive_message(pair->second.get(), buffer);
  CHECK(as_text({buffer, got.size}) == "two");
  CHECK(receive_message(pair->second.get(), buffer).status == IoStatus::kAgain);
}

TEST_CASE("seqpacket: a message that does not fit is refused whole, its descriptors closed") {
  auto pair = make_seqpacket_pair(Blocking::kNo);
  auto pipe = make_pipe();
  const int fds[] = {pipe->write_end.get()};
  send_message(pair->first.get(), as_bytes("0123456789"), fds);
  pipe->write_end.reset();
  std::uint8_t buffer[4];
  const Received got = receive_message(pair->second.get(), buffer);
  CHECK(got.status == IoStatus::kFailed);
  CHECK(got.error == EMSGSIZE);
  CHECK(got.fds.empty());
  char byte;
  CHECK(::read(pipe->read_end.get(), &byte, 1) == 0);  // no copy of the write end is open
}

TEST_CASE("seqpacket: what was sent before the other end closed is still received") {
  auto pair = make_seqpacket_pair(Blocking::kNo);
  send_message(pair->second.get(), as_bytes("unread"));
  send_message(pair->first.get(), as_bytes("last words"));
  pair->first.reset();  // with unread data: a reset
  std::uint8_t buffer[16];
  const Received got = receive_message(pair->second.get(), buffer);
  CHECK(got.status == IoStatus::kDone);
  CHECK(as_text({buffer, got.size}) == "last words");
  CHECK(receive_message(pair->second.get(), buffer).status == IoStatus::kClosed);
  CHECK(send_message(pair->second.get(), as_bytes("x")) == IoStatus::kClosed);
}

TEST_CASE("seqpacket: a listener works in a directory of any depth and names its peer") {
  const std::string root = temporary_directory();
  const std::string deep = root + "/" + std::string(200, 'a') + "/" + std::string(200, 'b');
  std::filesystem::create_directories(deep);
  UniqueFd directory(::open(deep.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  CHECK(!connect_seqpacket(directory.get(), "sock"));
  auto listener = listen_seqpacket(directory.get(), "sock");
  REQUIRE(listener);
  auto client = connect_seqpacket(directory.get(), "sock");
  REQUIRE(client);
  UniqueFd server(::accept(listener->get(), nullptr, nullptr));
  const auto peer = peer_credentials(server.get());
  REQUIRE(peer);
  CHECK(peer->pid == ::getpid());
  CHECK(peer->uid == ::geteuid());
  std::filesystem::remove_all(root);
}

TEST_CASE("loop: timers fire in order of time, a cancelled one never") {
  EventLoop loop;
  std::string trace;
  auto never = loop.after(std::chrono::milliseconds(3), [&] { trace += "never "; });
  loop.after(std::chrono::milliseconds(5), [&] {
    trace += "second";
    loop.stop();
  });
  loop.after(std::chrono::milliseconds(1), [&] {
    trace += "first ";
    loop.cancel(never);
  });
  loop.run();
  CHECK(trace == "first second");
}

TEST_CASE("loop: a handler may forget another whose event was already fetched, and itself") {
  EventLoop loop;
  auto a = make_pipe(), b = make_pipe();
  REQUIRE(::write(a->write_end.get(), "x", 1) == 1);
  REQUIRE(::write(b->write_end.get(), "x", 1) == 1);
  int calls = 0;
  EventLoop::Token first = 0, second = 0;
  const auto handler = [&](std::uint32_t) {
    ++calls;
    loop.forget(first);
    loop.forget(second);
  };
  first = loop.watch(a->read_end.get(), EPOLLIN, handler);
  second = loop.watch(b->read_end.get(), EPOLLIN, handler);
  loop.run_once(Millis(1000));
  loop.run_once(Millis(0));
  CHECK(calls == 1);
}

TEST_CASE("process: a child's end arrives at its pidfd with its status") {
  auto child = fork_process();
  REQUIRE(child);
  if (child->pid == 0) ::_exit(42);
  pollfd p{child->pidfd.get(), POLLIN, 0};
  REQUIRE(::poll(&p, 1, 15000) == 1);
  const auto status = reap(child->pidfd.get());
  REQUIRE(status);
  CHECK(status->code == 42);
  CHECK(!reap(child->pidfd.get()));
}

TEST_CASE("process: a program gets only its own descriptors and default signals") {
  const int leak = ::open("/dev/null", O_RDONLY);  // deliberately without close-on-exec
  ::signal(SIGUSR1, SIG_IGN);
  // As posix_spawn with POSIX_SPAWN_SETSIGDEF leaves it: signal 32, which signal(3) refuses.
  const std::array<std::uint64_t, 8> ignored{1};
  REQUIRE(::syscall(SYS_rt_sigaction, 32, ignored.data(), nullptr, 8) == 0);
  auto program =
      run_program({"/bin/sh", "-c", "ls /proc/self/fd | wc -l; grep SigIgn /proc/self/status"},
                  {"PATH=/bin:/usr/bin"});
  REQUIRE(program);
  std::string text;
  char block[256];
  ssize_t n = 0;
  while ((n = ::read(program->output.get(), block, sizeof(block))) > 0)
    text.append(block, static_cast<std::size_t>(n));
  CHECK(text == "4\nSigIgn:\t0000000000000000\n");
  reap_killed(program->child.pidfd.get());
  ::close(leak);
}

TEST_CASE("proc: a stat line is read whatever the command is called") {
  ProcessInfo info;
  const std::string rest = " S 7 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1 1 1";
  CHECK(parse_stat("12 (sh)" + rest, info));
  CHECK(info.pid == 12);
  CHECK(info.parent == 7);
  CHECK(info.state == 'S');
  CHECK(info.start_ticks == 987654);
  CHECK(parse_stat("12 (a) R 1 (b)) )" + rest, info));
  CHECK(info.parent == 7);
  CHECK(!parse_stat("", info));
  CHECK(!parse_stat("12 (sh", info));
  CHECK(!parse_stat("12 (sh) S", info));
  CHECK(!parse_stat("x (sh)" + rest, info));
}

TEST_CASE("proc: descendants are found over several generations, by environment too") {
  auto pipe = make_pipe();
  const pid_t child = ::fork();
  if (child == 0) {
    char* const argv[] = {const_cast<char*>("sh"), const_cast<char*>("-c"),
                          const_cast<char*>("sleep 100 & echo up; wait"), nullptr};
    char* const env[] = {const_cast<char*>("REXEC_TEST_MARK=yes"),
                         const_cast<char*>("PATH=/bin:/usr/bin"), nullptr};
    ::dup2(pipe->write_end.get(), 1);
    ::execve("/bin/sh", argv, env);
    ::_exit(1);
  }
  char byte;
  REQUIRE(::read(pipe->read_end.get(), &byte, 1) == 1);
  const auto family = descendants(list_processes(), ::getpid());
  CHECK(family.size() >= 2);
  CHECK(has_environment(child, "REXEC_TEST_MARK=yes"));
  CHECK(!has_environment(child, "REXEC_TEST_MARK=ye"));
  for (const auto& process : family) {
    ProcessInfo other = process;
    ++other.start_ticks;
    CHECK(!kill_exactly(other, SIGKILL));
    CHECK(kill_exactly(process, SIGKILL));
  }
  ::waitpid(child, nullptr, 0);
}

TEST_CASE("cgroup: the v2 tree is found among others, with escapes, and as part of a hybrid") {
  const std::string hybrid =
      "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
      "32 31 0:29 / /sys/fs/cgroup/cpu rw shared:1 - cgroup cgroup rw,cpu\n"
      "38 31 0:31 / /sys/fs/cgroup/uni\\040fied rw shared:2 master:3 - cgroup2 cgroup2 rw\n";
  CHECK(cgroup2_mount(hybrid) == "/sys/fs/cgroup/uni fied");
  CHECK(cgroup2_mount("31 23 0:28 / /x rw - tmpfs cgroup2 rw\n").empty());
  CHECK(cgroup2_mount("").empty());
  CHECK(cgroup2_path("9:name=systemd:/\n0::/system.slice/a\n") == "/system.slice/a");
  CHECK(cgroup2_path("9:name=systemd:/\n").empty());
}

TEST_CASE("limits: a version 1 group is found below its mount's root") {
  const std::string mounts =
      "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:1 - cgroup cgroup rw,cpu,cpuacct\n"
      "33 31 0:30 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
      "38 31 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
  const std::string own = "4:memory:/docker/abc/x\n2:cpu,cpuacct:/\n0::/\n";
  CHECK(cgroup1_directory("cpu", mounts, own) == "/sys/fs/cgroup/cpu,cpuacct");
  CHECK(cgroup1_directory("memory", mounts, own) == "/sys/fs/cgroup/memory/x");
  CHECK(cgroup1_directory("pids", mounts, own).empty());
  CHECK(cgroup1_directory("pids", "", "").empty());
}

TEST_CASE("cgroup: kill_all ends what was born in it") {
  auto root = CgroupRoot::find("rexec-test");
  if (!root) return;  // no writable cgroup v2 here: the subreaper does the work, see tests/unit/job
  auto group = Cgroup::make(*root, "unit-" + std::to_string(::getpid()));
  REQUIRE(group);
  CHECK(!group->populated());
  auto child = fork_process(group->fd());
  REQUIRE(child);
  if (child->pid == 0) {
    ::fork();
    while (true) ::pause();
  }
  CHECK(group->populated());
  CHECK(!group->out_of_memory());
  group->kill_all();
  reap_killed(child->pidfd.get());
  CHECK(test::until([&] { return !group->populated(); }));
  CHECK(group->remove());
  ::rmdir(root->path().c_str());
}

TEST_CASE("pty: the slave has the size, a resize is seen, and eof has its key") {
  auto pty = open_pty({30, 90}, ::geteuid());
  REQUIRE(pty);
  winsize size{};
  ::ioctl(pty->slave.get(), TIOCGWINSZ, &size);
  CHECK(size.ws_row == 30);
  CHECK(size.ws_col == 90);
  REQUIRE(resize_pty(pty->master.get(), {10, 20}));
  ::ioctl(pty->slave.get(), TIOCGWINSZ, &size);
  CHECK(size.ws_col == 20);
  CHECK(eof_character(pty->master.get()) == 4);
}

struct Accounts {
  std::string directory = temporary_directory();
  AccountFiles files{directory};
  Accounts() {
    std::ofstream(directory + "/passwd")
        << "root:x:0:0:root:/root:/bin/bash\n"
           "ann:x:1001:1001:Ann,,,:/home/ann:/bin/zsh\n"
           "locked:x:1002:1002::/home/l:/bin/sh\nexpired:x:1003:1003::/:/bin/sh\n"
           "service:x:1004:1004::/:/usr/sbin/nologin\n1001x:x:1005:1005::/:/bin/sh\n";
    std::ofstream group(directory + "/group");
    group << "root:x:0:\nadm:x:4:root,ann\nann:x:1001:\ndocker:x:99:ann\nbig:x:77:";
    for (int i = 0; i < 3000; ++i) group << "member" << i << ",";
    group << "ann\n";
    std::ofstream(directory + "/shadow") << "root:*:1:0:99999:7:::\nann:$6$x:1:0:99999:7:::\n"
                                            "locked:!$6$x:1:0:99999:7:::\n"
                                            "expired:$6$x:1:0:99999:7::10:\nservice:!:1::::::\n";
  }
  ~Accounts() { std::filesystem::remove_all(directory); }
};

// FAULTS J14
TEST_CASE("users: by name and number, with exactly the groups of the files") {
  const Accounts accounts;
  const auto ann = find_user(accounts.files, "ann");
  REQUIRE(ann);
  REQUIRE(*ann);
  CHECK((*ann)->uid == 1001);
  CHECK((*ann)->home == "/home/ann");
  CHECK((*ann)->shell == "/bin/zsh");
  CHECK((*ann)->groups == std::vector<gid_t>{1001, 4, 99, 77});
  CHECK((*find_user(accounts.files, "1001"))->name == "ann");
  CHECK((*find_user(accounts.files, uid_t{0}))->name == "root");
  CHECK(!*find_user(accounts.files, "nobody-here"));
  CHECK(!*find_user(accounts.files, "ann\n"));
  CHECK(**find_group(accounts.files, "docker") == 99);
  CHECK(**find_group(accounts.files, "99") == 99);
  CHECK(!*find_group(accounts.files, "none"));
}

// FAULTS A15
TEST_CASE("users: locked and expired accounts are seen; no password at all is not locked") {
  const Accounts accounts;
  CHECK(account_state(accounts.files, "ann", 20000) == AccountState::kUsable);
  CHECK(account_state(accounts.files, "locked", 20000) == AccountState::kLocked);
  CHECK(account_state(accounts.files, "expired", 20000) == AccountState::kExpired);
  CHECK(account_state(accounts.files, "expired", 9) == AccountState::kUsable);
  CHECK(account_state(accounts.files, "service", 20000) == AccountState::kUsable);
  CHECK(account_state({"/nowhere"}, "ann", 20000) == AccountState::kUsable);
}

TEST_CASE("users: getent's lines are read, and nothing else") {
  auto user = parse_getent_passwd("ann:*:5001:5002:Ann:/home/ann:/bin/sh\nmore");
  REQUIRE(user);
  parse_getent_initgroups("ann                   5002 10 x 20\n", *user);
  CHECK(user->groups == std::vector<gid_t>{5002, 10, 20});
  CHECK(!parse_getent_passwd(""));
  CHECK(!parse_getent_passwd("ann:*:-1:5002:Ann:/home/ann:/bin/sh"));
  CHECK(!parse_getent_passwd("ann:*:1:2"));
}

}  // namespace
}  // namespace rexec::os
