#include "src/os/exec_on_death.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "src/os/fd.hpp"

namespace rexec::os {
namespace {

// Where the program says that it runs.
struct Mailbox {
  std::string directory =
      (std::filesystem::temp_directory_path() / "rexec-death-XXXXXX").string();
  std::string path;
  UniqueFd fd;

  Mailbox() {
    REQUIRE(::mkdtemp(directory.data()) != nullptr);
    path = directory + "/fifo";
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    fd.reset(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    REQUIRE(fd);
    REQUIRE(set_blocking(fd.get(), Blocking::kYes));
  }
  ~Mailbox() { std::filesystem::remove_all(directory); }
  std::vector<std::string> writer() const {
    return {"sh", "-c", "echo it ended > " + path};
  }
};

// A process that arms itself, does `then`, and ends.
Child armed(const std::vector<std::string>& argv, void (*then)(ExecOnDeath&)) {
  auto child = fork_process();
  REQUIRE(child);
  if (child->pid != 0) return std::move(*child);
  ExecOnDeath death;
  if (!death.arm("/bin/sh", argv)) ::_exit(1);
  then(death);
  ::_exit(0);
}

std::string read_line(int fd) {
  std::string line;
  char c = 0;
  while (::read(fd, &c, 1) == 1 && c != '\n') line += c;
  return line;
}

TEST_CASE("a program starts when a process is killed") {
  const Mailbox mailbox;
  // While nobody writes a FIFO is at its end: this writer is there until the test reads.
  const UniqueFd writer(::open(mailbox.path.c_str(), O_WRONLY | O_CLOEXEC));
  const Child child = armed(mailbox.writer(), [](ExecOnDeath&) { ::raise(SIGKILL); });
  reap_killed(child.pidfd.get());
  CHECK(read_line(mailbox.fd.get()) == "it ended");
}

TEST_CASE("it does not start when the process ends in its own way") {
  const Mailbox mailbox;
  const Child child = armed(mailbox.writer(), [](ExecOnDeath& death) {
    death.disarm();
    death.disarm();
  });
  reap_killed(child.pidfd.get());
  CHECK(read_line(mailbox.fd.get()).empty());  // nobody has it, nobody ever will
}

TEST_CASE("what waits for the death holds no descriptor open") {
  const Mailbox mailbox;
  auto pipe = make_pipe();
  REQUIRE(pipe);
  ExecOnDeath death;
  REQUIRE(death.arm("/bin/sh", mailbox.writer()));
  pipe->write_end.reset();
  char c = 0;
  CHECK(::read(pipe->read_end.get(), &c, 1) == 0);
}

}  // namespace
}  // namespace rexec::os
