// The port: who is let to the handshake, who is dropped, and what a stranger can hold.
#include "src/net/listener.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstdio>

#include "src/net/dialler.hpp"
#include "src/os/fd.hpp"
#include "tests/unit/net/cluster.hpp"
#include "tests/unit/net/reactor.hpp"

using namespace rexec;
using namespace rexec::net;
using namespace rexec::net::test;

namespace {

struct Port {
  Cluster cluster;
  TlsContext tls = cluster.server();
  asio::io_context context{1};
  std::vector<std::unique_ptr<TlsTransport>> accepted;
  std::vector<std::string> sources;
  Listener listener;

  std::vector<std::shared_ptr<Strangers::Place>> places;  // of those who keep theirs

  explicit Port(StrangerLimits limits = {})
      : listener(
            context, tls, [limits] { return limits; },
            [this](Arrival arrival) {
              if (!arrival.transport->peer()) places.push_back(std::move(arrival.place));
              accepted.push_back(std::move(arrival.transport));
              sources.push_back(std::move(arrival.source));
            }) {
    REQUIRE(listener.listen("127.0.0.1:0").has_value());
  }
  std::uint16_t number() const { return split_address(listener.address())->second; }

  // A plain TCP connection from a loopback address of the test's choice.
  os::UniqueFd connect(const char* from = "127.0.0.1") const {
    os::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in near{}, far{};
    near.sin_family = far.sin_family = AF_INET;
    ::inet_pton(AF_INET, from, &near.sin_addr);
    ::inet_pton(AF_INET, "127.0.0.1", &far.sin_addr);
    far.sin_port = htons(number());
    REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&near), sizeof near) == 0);
    REQUIRE(::connect(fd.get(), reinterpret_cast<sockaddr*>(&far), sizeof far) == 0);
    return fd;
  }
  // Until the port has closed the connection; what it said before, which should be nothing.
  std::string said_before_close(const os::UniqueFd& fd) {
    std::string said;
    char piece[256];
    ssize_t n = -1;
    run_until(context, [&] {
      n = ::recv(fd.get(), piece, sizeof piece, MSG_DONTWAIT);
      if (n > 0) said.append(piece, static_cast<std::size_t>(n));
      return n == 0 || (n < 0 && errno == ECONNRESET);
    });
    return said;
  }
  void settle(std::size_t in_flight) {
    run_until(context, [&] { return listener.handshakes_in_flight() == in_flight; });
  }
};

bool is_open(const os::UniqueFd& fd) {
  char byte = 0;
  return ::recv(fd.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

void send_text(const os::UniqueFd& fd, std::string_view text) {
  REQUIRE(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(text.size()));
}

// The first bytes of a TLS record with a ClientHello that is announced as `length` bytes long.
std::string hello_of(std::uint32_t length) {
  std::string out = {22, 3, 1, 2, 0, 1, 0, 0, 0};
  out[6] = static_cast<char>(length >> 16);
  out[7] = static_cast<char>(length >> 8);
  out[8] = static_cast<char>(length);
  return out + std::string(300, 'h');
}

// Dials in from the same reactor; true once the handshake is done.
Task<> dial_in(TlsContext& tls, std::string address, bool& done, std::string& why) {
  DialOptions options;
  options.addresses = {address};
  auto transport = co_await dial(tls, std::move(options));
  done = transport.has_value();
  if (!transport) why = transport.error().message;
}

}  // namespace

TEST_CASE("listener: a user gets in and his address is told") {
  Port port;
  TlsContext user = port.cluster.user();
  bool done = false;
  std::string why;
  spawn(port.context.get_executor(), dial_in(user, port.listener.address(), done, why));
  run_until(port.context, [&] { return !port.accepted.empty() && (done || !why.empty()); });
  CHECK(why == "");
  CHECK(port.accepted[0]->peer()->id == kUser);
  CHECK(port.sources[0] == "127.0.0.1");
  CHECK(port.listener.handshakes_in_flight() == 0);
}

TEST_CASE("listener: who does not speak TLS is dropped without a word") {  // FAULTS L1 L2
  Port port;
  const std::string strangers[] = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                                   "SSH-2.0-OpenSSH_9\r\n",
                                   std::string(48, 'r'),
                                   std::string("\x80\x2e\x01\x00\x02", 5) + std::string(41, '\0'),
                                   std::string("\x16\x02\x00\x00\x05\x01\x00\x00\x01", 9),
                                   std::string("\x15\x03\x01\x00\x02\x02\x28\x00\x00", 9),
                                   std::string("\x16\x03\x01\x00\x05\x02\x00\x00\x01", 9),
                                   "G"};
  for (const std::string& first : strangers) {
    const os::UniqueFd fd = port.connect();
    send_text(fd, first);
    CHECK(port.said_before_close(fd) == "");
  }
  port.settle(0);
  CHECK(port.accepted.empty());
}

TEST_CASE("listener: a ClientHello announced too large is dropped at the peek") {  // FAULTS L3
  Port port;
  for (const std::uint32_t length : {106'000U, 0xFFFFFFU, (16U << 10) + 1}) {
    const os::UniqueFd fd = port.connect();
    send_text(fd, hello_of(length));
    CHECK(port.said_before_close(fd) == "");
  }
  // One that fits is waited for.
  const os::UniqueFd fd = port.connect();
  send_text(fd, hello_of(16 << 10));
  port.settle(1);
  port.context.poll();
  CHECK(is_open(fd));
}

TEST_CASE("listener: a ClientHello that comes byte by byte is a ClientHello") {
  Port port;
  TlsContext user = port.cluster.user();
  // The client's bytes pass through a pair of sockets, so that they can be dribbled.
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
  auto client = TlsTransport::connect(user, pair[0]);
  const os::UniqueFd behind(pair[1]);
  const os::UniqueFd socket = port.connect();
  Io status = client->handshake();
  const BootTime give_up = BootClock::now() + 4s;
  while (port.accepted.empty()) {
    REQUIRE(BootClock::now() < give_up);
    char byte = 0;
    if (::recv(behind.get(), &byte, 1, 0) == 1) send_text(socket, {&byte, 1});
    port.context.poll();
    char piece[4096];
    const ssize_t n = ::recv(socket.get(), piece, sizeof piece, MSG_DONTWAIT);
    if (n > 0) CHECK(::send(behind.get(), piece, static_cast<std::size_t>(n), 0) == n);
    if (status == Io::kWantRead) status = client->handshake();
  }
  CHECK(port.accepted[0]->peer()->id == kUser);
}

TEST_CASE("listener: dribbling does not hold off the deadline, and does not spin") {
  Port port({1024, 512, Millis{150}});
  const os::UniqueFd fd = port.connect();
  const BootTime begun = BootClock::now();
  const std::string hello = hello_of(500);
  std::size_t sent = 0, handlers = 0;
  for (; sent < 8; ++sent) {
    send_text(fd, hello.substr(sent, 1));
    handlers += port.context.poll();
  }
  run_until(port.context, [&] {
    ++handlers;
    char byte = 0;
    return ::recv(fd.get(), &byte, 1, MSG_DONTWAIT) == 0;
  });
  CHECK(BootClock::now() - begun >= 140ms);
  CHECK(BootClock::now() - begun < 4s);
  CHECK(handlers < 40);
}

TEST_CASE("listener: silence ends at the deadline") {  // FAULTS W1 L13
  Port port({1024, 512, Millis{100}});
  std::vector<os::UniqueFd> silent;
  for (int i = 0; i < 20; ++i) silent.push_back(port.connect());
  port.settle(20);
  port.settle(0);
  for (const auto& fd : silent) CHECK(port.said_before_close(fd) == "");
}

TEST_CASE("listener: 512 handshakes that stall do not keep a genuine one out") {  // FAULTS L13
  Port port;
  std::vector<os::UniqueFd> stalled;
  for (int i = 0; i < 512; ++i) {
    stalled.push_back(port.connect());
    send_text(stalled.back(), hello_of(400));
    if (i % 64 == 63) port.settle(static_cast<std::size_t>(i) + 1);
  }
  TlsContext node = port.cluster.node();
  bool done = false;
  std::string why;
  const BootTime begun = BootClock::now();
  spawn(port.context.get_executor(), dial_in(node, port.listener.address(), done, why));
  run_until(port.context, [&] { return done && !port.accepted.empty(); });
  CHECK(BootClock::now() - begun < 2s);
  CHECK(port.accepted[0]->peer()->id == kNode);
  // The oldest of the same source gave way to it.
  CHECK(port.listener.handshakes_in_flight() == 511);
  CHECK(port.said_before_close(stalled[0]) == "");
  CHECK(is_open(stalled[1]));
}

TEST_CASE("listener: a source at its limit loses its own oldest and no other's") {
  Port port({1024, 3, Millis{5000}});
  const os::UniqueFd other = port.connect("127.0.0.2");
  std::vector<os::UniqueFd> greedy;
  for (int i = 0; i < 5; ++i) {
    greedy.push_back(port.connect("127.0.0.3"));
    port.settle(std::min<std::size_t>(static_cast<std::size_t>(i) + 2, 4));
  }
  CHECK(port.said_before_close(greedy[0]) == "");
  CHECK(port.said_before_close(greedy[1]) == "");
  CHECK(port.listener.handshakes_in_flight() == 4);
  CHECK(is_open(other));
  CHECK(is_open(greedy[2]));
  CHECK(is_open(greedy[4]));
}

TEST_CASE("listener: at the overall limit the oldest of all gives way") {
  Port port({4, 4, Millis{5000}});
  std::vector<os::UniqueFd> all;
  for (int i = 0; i < 6; ++i) {
    all.push_back(port.connect(("127.0.1." + std::to_string(i + 1)).c_str()));
    port.settle(std::min<std::size_t>(static_cast<std::size_t>(i) + 1, 4));
  }
  CHECK(port.said_before_close(all[0]) == "");
  CHECK(port.said_before_close(all[1]) == "");
  CHECK(is_open(all[2]));
  CHECK(is_open(all[5]));
}

TEST_CASE("listener: addresses it cannot use are refused with the reason") {
  Port port;
  Listener other(port.context, port.tls, [] { return StrangerLimits{}; }, [](Arrival) {});
  CHECK(other.listen(port.listener.address()).error().code == Code::kIo);
  CHECK(other.listen("127.0.0.1:512").error().code == Code::kUsage);
  CHECK(other.listen("localhost:7443").error().code == Code::kUsage);
  CHECK(other.listen("127.0.0.1").error().code == Code::kUsage);
  CHECK(other.listen("127.0.0.1:70000").error().code == Code::kUsage);
}

TEST_CASE("listener: an IPv6 address is bound and named in brackets") {
  Port port;
  Listener other(port.context, port.tls, [] { return StrangerLimits{}; }, [](Arrival) {});
  const auto listening = other.listen("[::1]:0");
  if (!listening) {
    std::puts("skipped: listener, IPv6: not here: no ::1");
    return;
  }
  CHECK(other.address().starts_with("[::1]:"));
}

TEST_CASE("listener: stopping drops what is half done and accepts no more") {
  auto port = std::make_unique<Port>();
  const os::UniqueFd half = port->connect();
  send_text(half, hello_of(400));
  port->settle(1);
  const os::UniqueFd waiting = port->connect();
  port->listener.stop();
  CHECK(port->listener.handshakes_in_flight() == 0);
  CHECK(port->said_before_close(half) == "");
  port->context.poll();
  CHECK(port->accepted.empty());
  port.reset();  // handlers that are still queued refer to nothing
}
