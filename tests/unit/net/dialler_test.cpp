// Reaching a controller: addresses in order, reasons, limits; and the pauses between tries.
#include "src/net/dialler.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "src/net/listener.hpp"
#include "src/os/fd.hpp"
#include "tests/unit/net/cluster.hpp"
#include "tests/unit/net/reactor.hpp"

using namespace rexec;
using namespace rexec::net;
using namespace rexec::net::test;

namespace {

// A port that is bound but on which nobody answers: refused, or never answered when it listens.
struct Mute {
  enum class Kind { kRefuses, kNeverAnswers };
  os::UniqueFd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::string address;
  explicit Mute(Kind kind) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
    socklen_t size = sizeof at;
    REQUIRE(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&at), &size) == 0);
    if (kind == Kind::kNeverAnswers) REQUIRE(::listen(fd.get(), 16) == 0);
    address = "127.0.0.1:" + std::to_string(ntohs(at.sin_port));
  }
};

// Takes connections and ends each at its first bytes, as a controller that dies during the
// handshake; after `most` of them it is gone.
class Dying {
 public:
  Dying(asio::io_context& context, int most) : acceptor_(context), most_(most) {
    const asio::ip::tcp::endpoint any(asio::ip::address_v4::loopback(), 0);
    acceptor_.open(any.protocol());
    acceptor_.bind(any);
    acceptor_.listen();
    port = acceptor_.local_endpoint().port();
    address = "127.0.0.1:" + std::to_string(port);
    spawn(context.get_executor(), die());
  }
  std::string address;
  std::uint16_t port = 0;
  int died = 0;
  std::function<void()> on_gone;

 private:
  Task<> die() {
    while (died < most_) {
      asio::error_code error;
      auto socket =
          co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return;
      co_await socket.async_wait(asio::ip::tcp::socket::wait_read,
                                 asio::redirect_error(asio::use_awaitable, error));
      ++died;
    }
    acceptor_.close();
    if (on_gone) on_gone();
  }
  asio::ip::tcp::acceptor acceptor_;
  int most_;
};

struct Dialled {
  std::unique_ptr<TlsTransport> transport;
  std::optional<Error> error;
};

Task<> dial_into(TlsContext& tls, DialOptions options, Dialled& out) {
  auto transport = co_await dial(tls, std::move(options));
  if (transport) {
    out.transport = std::move(*transport);
  } else {
    out.error = transport.error();
  }
}

struct Rig {
  Cluster cluster;
  asio::io_context context{1};
  Dialled dial(TlsContext& tls, std::vector<std::string> addresses, Millis timeout = 10s,
               Patience patience = Patience::kOneRound) {
    Dialled out;
    DialOptions options;
    options.addresses = std::move(addresses);
    options.timeout = timeout;
    options.patience = patience;
    spawn(context.get_executor(), dial_into(tls, std::move(options), out));
    run_until(context, [&] { return out.transport || out.error; });
    return out;
  }
};

struct Controller {
  TlsContext tls;
  std::vector<std::unique_ptr<TlsTransport>> accepted;
  Listener listener;
  Controller(asio::io_context& context, TlsContext server,
             const std::string& address = "127.0.0.1:0")
      : tls(std::move(server)),
        listener(
            context, tls, [] { return StrangerLimits{}; },
            [this](Arrival arrival) { accepted.push_back(std::move(arrival.transport)); }) {
    REQUIRE(listener.listen(address).has_value());
  }
};

}  // namespace

TEST_CASE("dialler: when nobody answers, every address is named with its reason") {
  Rig rig;
  TlsContext user = rig.cluster.user();
  const Mute one(Mute::Kind::kRefuses), two(Mute::Kind::kRefuses);
  const auto got = rig.dial(user, {one.address, "nonsense", two.address});
  REQUIRE(got.error.has_value());
  CHECK(got.error->code == Code::kControllerDown);
  CHECK(got.error->message.find(one.address + ": Connection refused") != std::string::npos);
  CHECK(got.error->message.find(two.address + ": Connection refused") != std::string::npos);
  CHECK(got.error->message.find("nonsense") != std::string::npos);
  CHECK(rig.dial(user, {}).error->code == Code::kControllerDown);
}

TEST_CASE("dialler: the next address is tried when the first refuses") {
  Rig rig;
  Controller controller(rig.context, rig.cluster.server());
  TlsContext user = rig.cluster.user();
  const Mute dead(Mute::Kind::kRefuses);
  const auto got = rig.dial(user, {dead.address, controller.listener.address()});
  REQUIRE(got.transport);
  CHECK(got.transport->peer()->id == kController);
}

TEST_CASE("dialler: an address that never answers costs 2 s when others are left") {  // FAULTS N8
  Rig rig;
  Controller controller(rig.context, rig.cluster.server());
  TlsContext user = rig.cluster.user();
  const Mute silent(Mute::Kind::kNeverAnswers);
  const BootTime begun = BootClock::now();
  const auto got = rig.dial(user, {silent.address, controller.listener.address()});
  REQUIRE(got.transport);
  CHECK(BootClock::now() - begun < 3s);
}

TEST_CASE("dialler: the whole dial ends at its timeout") {
  Rig rig;
  TlsContext user = rig.cluster.user();
  const Mute silent(Mute::Kind::kNeverAnswers);
  const BootTime begun = BootClock::now();
  const auto got = rig.dial(user, {silent.address, silent.address, silent.address}, 200ms);
  REQUIRE(got.error.has_value());
  CHECK(got.error->code == Code::kControllerDown);
  CHECK(got.error->message.find("the TLS handshake took longer than") != std::string::npos);
  CHECK(BootClock::now() - begun < 2s);
}

TEST_CASE("dialler: a controller of another cluster is told apart from one that is away") {
  Rig rig;
  const Cluster other;
  Controller controller(rig.context, other.server());
  TlsContext user = rig.cluster.user();
  TlsContext stranger = rig.cluster.stranger();
  for (TlsContext* tls : {&user, &stranger}) {
    const auto got = rig.dial(*tls, {controller.listener.address()});
    REQUIRE(got.error.has_value());
    CHECK(got.error->code == Code::kPinMismatch);
    CHECK_FALSE(got.error->hint.empty());
  }
}

TEST_CASE("dialler: a controller whose certificate has ended is told with both clocks") {
  Rig rig;
  Controller controller(rig.context, rig.cluster.server({25h, 24h}));
  TlsContext user = rig.cluster.user();
  const auto got = rig.dial(user, {controller.listener.address()});
  REQUIRE(got.error.has_value());
  CHECK(got.error->code == Code::kExpired);
  CHECK(got.error->message.find("the clock here says") != std::string::npos);
}

TEST_CASE("dialler: a controller that dies in a handshake and comes back is waited for") {
  Rig rig;
  TlsContext user = rig.cluster.user();
  std::optional<Controller> reborn;
  Dying dying(rig.context, 3);
  dying.on_gone = [&] {
    TlsContext server = rig.cluster.server();
    reborn.emplace(rig.context, std::move(server), dying.address);
  };
  const auto got = rig.dial(user, {dying.address}, 10s, Patience::kAfterCut);
  CHECK(got.transport);
  CHECK(dying.died == 3);
}

TEST_CASE("dialler: without patience a cut handshake is an error, in plain words") {
  Rig rig;
  TlsContext user = rig.cluster.user();
  Dying dying(rig.context, 1);
  const auto got = rig.dial(user, {dying.address});
  REQUIRE(got.error.has_value());
  CHECK(got.error->code == Code::kControllerDown);
  CHECK(got.error->message == "no controller answers (" + dying.address +
                                  ": the controller closed the connection during the handshake)");
}

TEST_CASE("dialler: who only ever hangs up is believed after a while, who refuses at once") {
  Rig rig;
  TlsContext user = rig.cluster.user();
  Dying dying(rig.context, 1'000);
  const BootTime begun = BootClock::now();
  CHECK(rig.dial(user, {dying.address}, 60s, Patience::kAfterCut).error.has_value());
  const Mute dead(Mute::Kind::kRefuses);
  CHECK(rig.dial(user, {dead.address}, 60s, Patience::kAfterCut).error.has_value());
  CHECK(BootClock::now() - begun < 20s);
}

TEST_CASE("dialler: a time limit that is over too soon is not an address that is missing") {
  Rig rig;
  TlsContext user = rig.cluster.user();
  const Mute silent(Mute::Kind::kNeverAnswers);
  const auto got = rig.dial(user, {silent.address, silent.address}, 1ms);
  REQUIRE(got.error.has_value());
  CHECK(got.error->message.find(silent.address + ": ") != std::string::npos);
  CHECK(got.error->message.find("not tried, 1ms were over before") != std::string::npos);
  const auto none = rig.dial(user, {});
  CHECK(none.error->message.find("no address is known") != std::string::npos);
}

TEST_CASE("dialler: localhost needs no resolver") {
  Rig rig;
  Controller controller(rig.context, rig.cluster.server());
  TlsContext user = rig.cluster.user();
  const auto port = split_address(controller.listener.address())->second;
  CHECK(rig.dial(user, {"localhost:" + std::to_string(port)}).transport);
}

TEST_CASE("addresses: host and port are split, in brackets for IPv6") {
  CHECK(split_address("10.0.0.1:7443") == std::pair<std::string, std::uint16_t>("10.0.0.1", 7443));
  CHECK(split_address("[::1]:1") == std::pair<std::string, std::uint16_t>("::1", 1));
  CHECK(split_address("host.example:65535")->first == "host.example");
  for (const char* bad :
       {"", ":", "host", ":80", "host:", "host:x", "host:1x", "host:65536", "host:-1", "host: 1"})
    CHECK(split_address(bad).error().code == Code::kUsage);
}

TEST_CASE("backoff: pauses double from 100 ms to 30 s, with jitter, and begin anew after success") {
  Backoff backoff(42);
  for (int i = 0; i < 30; ++i) {
    const std::int64_t ceiling = std::min<std::int64_t>(30'000, 100LL << std::min(i, 9));
    const auto pause = backoff.next().count();
    CHECK(pause <= ceiling);
    CHECK(pause >= ceiling / 4);
  }
  backoff.reset();
  CHECK(backoff.next() <= Millis{100});
  CHECK(Backoff(1).next() != Backoff(2).next());
}
