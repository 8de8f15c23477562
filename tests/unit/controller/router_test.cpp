// Relaying between two sessions over real socket pairs: bytes, credit, ends and resets pass; a lost
// side resets the other.
#include "src/controller/state/router.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <vector>

using namespace rexec;
using namespace rexec::controller;
namespace event = wire::event;

namespace {

// One end of a session that keeps what it is told.
struct End final : net::SessionHandler {
  std::shared_ptr<net::SessionDriver> driver;
  Router* router = nullptr;
  std::vector<wire::Event> events;
  std::string received;
  bool closed = false;
  void on_event(wire::Event event) override {
    if (router != nullptr && router->forward(event)) return;
    if (auto* data = std::get_if<event::Data>(&event)) received += as_text(data->frame.payload());
    if (std::holds_alternative<event::Closed>(event)) closed = true;
    events.push_back(std::move(event));
  }
  template <class T>
  T* find() {
    for (auto& event : events)
      if (auto* found = std::get_if<T>(&event)) return found;
    return nullptr;
  }
};

struct Pair {
  explicit Pair(asio::io_context& context) {
    int fds[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    wire::SessionOptions dialler;
    dialler.now = BootClock::now();
    wire::SessionOptions acceptor = dialler;
    acceptor.side = wire::Side::kAcceptor;
    outside.driver = std::make_shared<net::SessionDriver>(
        context.get_executor(), std::make_unique<net::PlainTransport>(fds[0]), dialler);
    inside.driver = std::make_shared<net::SessionDriver>(
        context.get_executor(), std::make_unique<net::PlainTransport>(fds[1]), acceptor);
    outside.driver->session().send_hello({{"role", "user"}});
    inside.driver->session().send_hello({{"role", "controller"}});
    outside.driver->start(outside);
    inside.driver->start(inside);
  }
  End outside;
  End inside;
};

// client ⇄ [Router ⇄ Router] ⇄ agent
struct Relay {
  asio::io_context context{1};
  Pair client{context};
  Pair agent{context};
  Router to_client{client.inside.driver};
  Router to_agent{agent.inside.driver};
  wire::StreamId client_stream = 0;
  wire::StreamId agent_stream = 0;
  Relay() {
    run_until([&] {
      return client.inside.find<event::Hello>() && agent.inside.find<event::Hello>() &&
             agent.outside.find<event::Hello>();
    });
    client_stream = client.outside.driver->session().open("attach", {});
    client.outside.driver->flush();
    run_until([&] { return client.inside.find<event::Opened>() != nullptr; });
    agent_stream = agent.inside.driver->session().open("attach", {});
    agent.inside.driver->flush();
    run_until([&] { return agent.outside.find<event::Opened>() != nullptr; });
    client.inside.router = &to_client;
    agent.inside.router = &to_agent;
    Router::link(to_client, client_stream, to_agent, agent_stream);
  }
  template <class Done>
  void run_until(Done done) {
    for (int i = 0; i < 100'000 && !done(); ++i) context.run_one_for(Millis{50});
    REQUIRE(done());
  }
  void send_from_agent(std::size_t bytes, char fill) {
    auto& session = agent.outside.driver->session();
    const std::string text(bytes, fill);
    session.send_data(agent_stream, wire::Channel::kOut,
                      wire::make_frame(wire::FrameType::kData, agent_stream, as_bytes(text)));
    agent.outside.driver->flush();
  }
};

}  // namespace

TEST_CASE("router: bytes and events of an agent's stream reach the client's stream in order") {
  Relay relay;
  relay.send_from_agent(5000, 'a');
  relay.agent.outside.driver->session().send_event(relay.agent_stream, {{"t", "started"}});
  relay.send_from_agent(60'000, 'b');
  relay.agent.outside.driver->session().end(relay.agent_stream);
  relay.agent.outside.driver->flush();
  relay.run_until([&] { return relay.client.outside.find<event::Ended>() != nullptr; });
  CHECK(relay.client.outside.received == std::string(5000, 'a') + std::string(60'000, 'b'));
  REQUIRE(relay.client.outside.find<event::Event>() != nullptr);
}

// FAULTS W13
TEST_CASE("router: credit is end to end, so an agent sends no more than its reader asked for") {
  Relay relay;
  auto& sender = relay.agent.outside.driver->session();
  CHECK(sender.sendable(relay.agent_stream) == wire::kInitialWindow);
  for (int i = 0; i < 16; ++i) relay.send_from_agent(65'536, 'x');
  CHECK(sender.sendable(relay.agent_stream) == 0);
  relay.run_until([&] { return relay.client.outside.received.size() == wire::kInitialWindow; });
  CHECK(sender.sendable(relay.agent_stream) == 0);
  relay.client.outside.driver->session().grant(relay.client_stream, 2 * wire::kInitialWindow);
  relay.client.outside.driver->flush();
  relay.run_until([&] { return sender.sendable(relay.agent_stream) == wire::kInitialWindow; });
}

TEST_CASE("router: a reset passes on, and a lost session resets every stream at the other side") {
  SUBCASE("reset by the client") {
    Relay relay;
    relay.client.outside.driver->session().reset(relay.client_stream,
                                                 {Code::kLinkLost, "gone", {}});
    relay.client.outside.driver->flush();
    relay.run_until([&] { return relay.agent.outside.find<event::Reset>() != nullptr; });
    CHECK(relay.to_client.size() == 0);
    CHECK(relay.to_agent.size() == 0);
  }
  SUBCASE("the agent is lost") {
    Relay relay;
    relay.to_agent.drop_all({Code::kLinkLost, "the link to the node was lost", {}});
    relay.run_until([&] { return relay.client.outside.find<event::Reset>() != nullptr; });
    CHECK(relay.client.outside.find<event::Reset>()->error.code == Code::kLinkLost);
    CHECK(relay.to_client.size() == 0);
  }
}

TEST_CASE(
    "router: who is refused by the agent is answered by the controller, or the reset passes on") {
  for (const bool is_dealt_with : {true, false}) {
    CAPTURE(is_dealt_with);
    Relay relay;
    const auto refused = [&](const Error& error) {
      CHECK(error.code == Code::kUnknownJob);
      CHECK(relay.to_client.size() == 0);
      auto& session = relay.client.inside.driver->session();
      if (is_dealt_with) session.end(relay.client_stream);
      if (is_dealt_with) relay.client.inside.driver->flush_soon();
      return is_dealt_with;
    };
    Router::link(relay.to_agent, relay.agent_stream, relay.to_client, relay.client_stream,
                 {refused, {}});
    relay.agent.outside.driver->session().reset(relay.agent_stream, {Code::kUnknownJob, "no", {}});
    relay.agent.outside.driver->flush();
    relay.run_until([&] {
      return relay.client.outside.find<event::Ended>() != nullptr ||
             relay.client.outside.find<event::Reset>() != nullptr;
    });
    CHECK((relay.client.outside.find<event::Ended>() != nullptr) == is_dealt_with);
    CHECK((relay.client.outside.find<event::Reset>() != nullptr) == !is_dealt_with);
  }
}
