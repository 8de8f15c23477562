// A client's and a server's TLS connection in one thread, without a reactor: the bytes between them
// pass through the test's hands, which may look at them, hold them back or change them.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "tests/unit/net/cluster.hpp"

namespace rexec::net::test {

// One direction's bytes as they lie in a socket.
inline std::string drain(int fd) {
  std::string out;
  char piece[65536];
  ssize_t n = 0;
  while ((n = ::recv(fd, piece, sizeof piece, MSG_DONTWAIT)) > 0)
    out.append(piece, static_cast<std::size_t>(n));
  return out;
}

class Duct {
 public:
  Duct(TlsContext& client_side, TlsContext& server_side, const std::string& ticket = {}) {
    int near[2], far[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, near) == 0);
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, far) == 0);
    client = TlsTransport::connect(client_side, near[0], ticket);
    server = TlsTransport::accept(server_side, far[0]);
    to_client = near[1];
    to_server = far[1];
  }
  ~Duct() {
    ::close(to_client);
    ::close(to_server);
  }
  Duct(const Duct&) = delete;
  Duct& operator=(const Duct&) = delete;

  // What the client has said goes to the server and the reverse; true when there was anything.
  bool carry() {
    const std::string up = drain(to_client);
    const std::string down = drain(to_server);
    give(to_server, up);
    give(to_client, down);
    return !up.empty() || !down.empty();
  }
  static void give(int fd, const std::string& bytes) {
    if (!bytes.empty())
      REQUIRE(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
              static_cast<ssize_t>(bytes.size()));
  }
  // Both handshakes until neither can go on.
  void shake_hands() {
    bool moved = true;
    while (moved) {
      step(*client, client_status);
      step(*server, server_status);
      moved = carry();
    }
  }
  bool both_done() const { return client_status == Io::kDone && server_status == Io::kDone; }
  // All that `to` can read now; its last status is `last`.
  std::string read_all(TlsTransport& to) {
    std::string out;
    std::uint8_t piece[20000];
    while (true) {
      const IoResult got = to.read(piece);
      last = got.status;
      if (got.status != Io::kDone) return out;
      out += as_text({piece, got.bytes});
    }
  }

  std::unique_ptr<TlsTransport> client, server;
  Io client_status = Io::kWantRead, server_status = Io::kWantRead;
  Io last = Io::kDone;
  int to_client = -1, to_server = -1;

 private:
  static void step(TlsTransport& transport, Io& status) {
    if (status == Io::kWantRead || status == Io::kWantWrite) status = transport.handshake();
  }
};

}  // namespace rexec::net::test
