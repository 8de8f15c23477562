// A session whose connection is dead from the beginning: its owner hears of it and may go on using
// it until then.
#include "src/client/remote.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace rexec;
using namespace rexec::client;

namespace {

// A connection whose far end was there a moment ago.
std::unique_ptr<net::Transport> dead_transport() {
  int both[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both) == 0);
  ::close(both[1]);
  return std::make_unique<net::PlainTransport>(both[0]);
}

struct Listening final : StreamHandler {
  void on_data(wire::Channel, ByteSpan) override {}
  void on_event(const wire::Map&) override {}
  void on_end() override {}
  void on_reset(const Error& error) override { reset = error; }
  std::optional<Error> reset;
};

net::Task<> ask(Remote& remote, std::optional<Error>& refused) {
  auto answer = co_await remote.call("whoami", wire::Map::object());
  if (!answer) refused = answer.error();
}

net::Task<> greet(Remote& remote, bool& came) {
  auto hello = co_await remote.greeted();
  came = hello.has_value();
}

}  // namespace

TEST_CASE("remote: a connection that is dead at the start ends what was begun on it") {
  asio::io_context context(1);
  Remote remote(context.get_executor());
  std::optional<Error> closed, refused;
  Listening stream;
  bool greeted = true;
  remote.on_closed = [&](const Error& error) { closed = error; };
  remote.start(dead_transport(), {{"role", "user"}});
  CHECK(remote.alive());
  remote.open("submit", wire::Map::object(), stream);
  net::spawn(context.get_executor(), ask(remote, refused));
  net::spawn(context.get_executor(), greet(remote, greeted));
  context.run_for(std::chrono::seconds(10));
  CHECK_FALSE(remote.alive());
  REQUIRE(closed.has_value());
  CHECK(closed->code == Code::kLinkLost);
  CHECK_FALSE(closed->hint.empty());
  REQUIRE(stream.reset.has_value());
  CHECK(stream.reset->code == Code::kLinkLost);
  REQUIRE(refused.has_value());
  CHECK(refused->code == Code::kLinkLost);
  CHECK_FALSE(greeted);
}

TEST_CASE("remote: it may be started again after its session has ended") {
  asio::io_context context(1);
  Remote remote(context.get_executor());
  for (int i = 0; i < 3; ++i) {
    bool greeted = true;
    remote.start(dead_transport(), {{"role", "user"}});
    net::spawn(context.get_executor(), greet(remote, greeted));
    context.restart();
    context.run_for(std::chrono::seconds(10));
    CHECK_FALSE(remote.alive());
    CHECK_FALSE(greeted);
  }
}
