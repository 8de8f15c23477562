// Sessions on real connections in one reactor: over TLS or over a pair of Unix sockets, with
// handlers that keep what they hear.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "src/net/session_driver.hpp"
#include "src/net/tls.hpp"
#include "tests/unit/net/cluster.hpp"
#include "tests/unit/net/reactor.hpp"
#include "tests/unit/wire/harness.hpp"

namespace rexec::net::test {

// Keeps events as text, data only as its length.
struct Keeper : SessionHandler {
  std::vector<std::string> events;
  std::uint64_t bytes = 0;
  std::function<void(const wire::Event&)> then;
  std::function<void()> written;

  void on_event(wire::Event event) override {
    if (const auto* data = std::get_if<wire::event::Data>(&event)) {
      bytes += data->frame.payload().size();
    } else if (!std::holds_alternative<wire::event::Credit>(event)) {
      events.push_back(std::visit(wire::test::Describe{}, event));
    }
    if (then) then(event);
  }
  void on_written() override {
    if (written) written();
  }
  bool heard(std::string_view what) const {
    for (const auto& event : events)
      if (event.starts_with(what)) return true;
    return false;
  }
};

inline wire::SessionOptions options_of(wire::Side side) {
  wire::SessionOptions options;
  options.side = side;
  options.now = BootClock::now();
  return options;
}

struct TransportPair {
  std::unique_ptr<Transport> near, far;
};

inline TransportPair plain_pair() {
  int both[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both) == 0);
  return {std::make_unique<PlainTransport>(both[0]), std::make_unique<PlainTransport>(both[1])};
}

// Connected over loopback: a socket that is closed with unread bytes resets its peer there.
inline void tcp_pair(int (&both)[2]) {
  const int port = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  REQUIRE(::bind(port, reinterpret_cast<sockaddr*>(&at), size) == 0);
  REQUIRE(::listen(port, 1) == 0);
  REQUIRE(::getsockname(port, reinterpret_cast<sockaddr*>(&at), &size) == 0);
  both[0] = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(::connect(both[0], reinterpret_cast<sockaddr*>(&at), size) == 0);
  both[1] = ::accept4(port, nullptr, nullptr, SOCK_CLOEXEC);
  REQUIRE(both[1] >= 0);
  ::close(port);
}

// A user's connection and the controller's end of it, after the handshake.
struct TlsPair {
  Cluster cluster;
  TlsContext user = cluster.user();
  TlsContext server = cluster.server();
  TransportPair make() {
    int both[2];
    tcp_pair(both);
    auto near = TlsTransport::connect(user, both[0]);
    auto far = TlsTransport::accept(server, both[1]);
    Io a = Io::kWantRead, b = Io::kWantRead;
    while (a != Io::kFailed && (a == Io::kWantRead || b == Io::kWantRead)) {
      if (a == Io::kWantRead) a = near->handshake();
      if (b == Io::kWantRead) b = far->handshake();
    }
    REQUIRE(a == Io::kDone);
    REQUIRE(b == Io::kDone);
    return {std::move(near), std::move(far)};
  }
};

// Two drivers that have greeted each other.
struct Talk {
  asio::io_context context{1};
  Keeper dialler, acceptor;
  std::shared_ptr<SessionDriver> near, far;

  explicit Talk(TransportPair pair) {
    near = std::make_shared<SessionDriver>(context.get_executor(), std::move(pair.near),
                                           options_of(wire::Side::kDialler));
    far = std::make_shared<SessionDriver>(context.get_executor(), std::move(pair.far),
                                          options_of(wire::Side::kAcceptor));
    near->session().send_hello({{"role", "user"}});
    far->session().send_hello({{"role", "controller"}});
    near->start(dialler);
    far->start(acceptor);
    run_until(context, [&] { return dialler.heard("hello") && acceptor.heard("hello"); });
  }
  wire::StreamId open() {
    const wire::StreamId stream = near->session().open("attach", wire::Map::object());
    near->flush();
    run_until(context, [&] { return acceptor.heard("opened " + std::to_string(stream)); });
    return stream;
  }
};

// Sends on a stream as much as it may, as long as it is asked to.
struct Flood {
  SessionDriver& driver;
  std::vector<wire::StreamId> streams;
  void pump() {
    wire::Session& session = driver.session();
    for (const wire::StreamId stream : streams) {
      while (session.queued(stream) < (256 << 10)) {
        const auto size = std::min<std::uint64_t>(session.sendable(stream), wire::kMaxData);
        if (size == 0) break;
        session.send_data(stream, wire::Channel::kOut,
                          wire::test::data_frame(std::string(size, 'f')));
      }
    }
  }
};

}  // namespace rexec::net::test
