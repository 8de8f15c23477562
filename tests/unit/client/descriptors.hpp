// Pipes, terminals and files that stand for what a user's shell hands to the client, and the check
// that the client leaves their flags alone.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "src/os/fd.hpp"
#include "tests/unit/net/reactor.hpp"

namespace rexec::client::test {

using net::test::run_until;

struct Ends {
  os::UniqueFd read, write;
};

inline Ends pipe_ends() {
  int both[2];
  REQUIRE(::pipe2(both, O_CLOEXEC) == 0);
  return {os::UniqueFd(both[0]), os::UniqueFd(both[1])};
}
inline Ends socket_ends() {
  int both[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both) == 0);
  return {os::UniqueFd(both[0]), os::UniqueFd(both[1])};
}
// What is written to the slave is read at the master, unchanged.
inline Ends terminal_ends() {
  int master = -1, slave = -1;
  termios raw{};
  ::cfmakeraw(&raw);
  REQUIRE(::openpty(&master, &slave, nullptr, &raw, nullptr) == 0);
  return {os::UniqueFd(master), os::UniqueFd(slave)};
}

// Everything there is to read now, without blocking and without changing the flags.
inline std::string drain(const os::UniqueFd& fd) {
  std::string out;
  char piece[65536];
  pollfd ready{fd.get(), POLLIN, 0};
  while (::poll(&ready, 1, 0) == 1) {
    const ssize_t n = ::read(fd.get(), piece, sizeof piece);
    if (n <= 0) break;
    out.append(piece, static_cast<std::size_t>(n));
  }
  return out;
}

inline int flags_of(const os::UniqueFd& fd) { return ::fcntl(fd.get(), F_GETFL); }

}  // namespace rexec::client::test
