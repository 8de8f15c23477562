// A session on a real connection: nothing is delayed, lost or held that need not be.
#include "src/net/session_driver.hpp"

#include <thread>

#include "tests/unit/net/sessions.hpp"

using namespace rexec;
using namespace rexec::net;
using namespace rexec::net::test;

namespace {

// The reader of a flood: grants what it has read.
void grant_all(Keeper& reader, SessionDriver& driver) {
  reader.then = [&driver, read = std::map<wire::StreamId, std::uint64_t>()](
                    const wire::Event& event) mutable {
    const auto* data = std::get_if<wire::event::Data>(&event);
    if (data == nullptr) return;
    auto& of_stream = read[data->stream];
    of_stream += data->frame.payload().size();
    driver.session().grant(data->stream, of_stream + wire::kInitialWindow);
  };
}

// Runs the reactor for a while; how many handlers it has run.
std::size_t handlers_within(asio::io_context& context, Millis time) {
  context.restart();
  return context.run_for(time);
}

// Takes everything, for ever.
class Abyss final : public Transport {
 public:
  explicit Abyss(TransportPair pair) : pair_(std::move(pair)) {}
  IoResult read(MutableBytes) override { return {Io::kWantRead, 0}; }
  IoResult write(ByteSpan from) override { return {Io::kDone, from.size()}; }
  void shutdown() override { pair_.far->shutdown(); }
  int fd() const override { return pair_.near->fd(); }
  const std::string& failure() const override { return pair_.near->failure(); }

 private:
  TransportPair pair_;
};

// A peer that sends without end, in a thread of its own.
class Elsewhere {
 public:
  explicit Elsewhere(int fd) : fd_(fd), thread_([this] { run(); }) {}
  ~Elsewhere() {
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
  }
  Elsewhere(const Elsewhere&) = delete;
  Elsewhere& operator=(const Elsewhere&) = delete;

 private:
  void run() {
    const std::string piece(256 << 10, 'z');
    while (::send(fd_, piece.data(), piece.size(), MSG_NOSIGNAL) > 0) {
    }
  }
  int fd_;
  std::thread thread_;
};

}  // namespace

TEST_CASE("driver: requests and answers pass over TLS and over a plain socket") {
  TlsPair tls;
  for (auto* make :
       {+[](TlsPair& t) { return t.make(); }, +[](TlsPair&) { return plain_pair(); }}) {
    Talk talk(make(tls));
    talk.acceptor.then = [&](const wire::Event& event) {
      if (const auto* request = std::get_if<wire::event::Request>(&event))
        talk.far->session().respond(request->id, wire::Map{{"user", "ann"}});
    };
    talk.near->session().request("whoami", wire::Map::object());
    talk.near->flush();
    run_until(talk.context, [&] { return talk.dialler.heard("response"); });
    CHECK(talk.dialler.events.back() == "response 1 {\"user\":\"ann\"}");
  }
}

TEST_CASE("driver: what a turn makes sessions say leaves at its end, in one flight each") {
  Talk one(plain_pair()), two(plain_pair());
  int flights = 0;
  one.dialler.written = two.dialler.written = [&] { ++flights; };
  {
    Turn turn;
    for (int i = 0; i < 3; ++i) {
      Turn within;
      for (Talk* talk : {&one, &two}) {
        talk->near->session().request("whoami", wire::Map::object());
        talk->near->flush_soon();
      }
      within.finish();
      CHECK(flights == 0);
    }
    turn.finish();
    CHECK(flights == 2);
  }
  one.near->session().request("whoami", wire::Map::object());
  one.near->flush_soon();  // of no turn: when the reactor comes to it
  CHECK(flights == 2);
  run_until(one.context, [&] { return one.acceptor.heard("request 4"); });
  CHECK(flights == 3);
}

TEST_CASE("driver: what a frame makes another session say is written before the reactor waits") {
  Talk from(plain_pair()), to(plain_pair());
  from.acceptor.then = [&](const wire::Event& event) {
    if (!std::holds_alternative<wire::event::Request>(event)) return;
    to.near->session().request("whoami", wire::Map::object());
    to.near->flush_soon();
  };
  from.near->session().request("whoami", wire::Map::object());
  from.near->flush();
  run_until(from.context, [&] { return from.acceptor.heard("request"); });
  // The other's reactor has not run since.
  std::uint8_t header[wire::kHeaderSize];
  CHECK(::recv(to.far->transport().fd(), header, sizeof header, MSG_PEEK | MSG_DONTWAIT) ==
        static_cast<ssize_t>(sizeof header));
}

TEST_CASE("driver: a plain read that found less than it had room for need not be repeated") {
  const TransportPair pair = plain_pair();
  std::uint8_t room[8];
  REQUIRE(pair.near->write(as_bytes("12345678abc")).bytes == 11);
  CHECK_FALSE(pair.far->read(room).drained);
  CHECK(pair.far->read(room).drained);
  CHECK(pair.far->read(room).status == Io::kWantRead);
}

TEST_CASE("driver: an idle session sends its first PING long before its peer gives it up") {
  Talk talk(plain_pair());
  bool has_pinged = false, is_late = false;
  talk.dialler.written = [&] { has_pinged = true; };
  // Timers of one reactor fire in the order of their times, however slow the machine is.
  Timer late(talk.context.get_executor());
  late.arm(wire::kSuspectAfter - wire::kPingEvery, [&] { is_late = true; });
  talk.context.restart();
  while (!has_pinged && !is_late) talk.context.run_one();
  CHECK(has_pinged);
  CHECK_FALSE(talk.dialler.heard("closed"));
}

TEST_CASE("driver: streams at full speed do not delay a signal") {
  TlsPair tls;
  Talk talk(tls.make());
  Flood flood{*talk.near, {}};
  for (int i = 0; i < 8; ++i) flood.streams.push_back(talk.open());
  grant_all(talk.acceptor, *talk.far);
  talk.dialler.written = [&] { flood.pump(); };
  talk.dialler.then = [&](const wire::Event&) { flood.pump(); };
  flood.pump();
  talk.near->flush();
  run_until(talk.context, [&] { return talk.acceptor.bytes > (16 << 20); });
  std::uint64_t most = 0;
  for (int i = 0; i < 10; ++i) {
    talk.acceptor.events.clear();
    const std::uint64_t before = talk.acceptor.bytes;
    talk.near->session().send_signal(flood.streams[3], {{"t", "signal"}, {"n", 2}});
    talk.near->flush_soon();
    run_until(talk.context, [&] { return talk.acceptor.heard("signal"); });
    most = std::max(most, talk.acceptor.bytes - before);
  }
  MESSAGE("at most " << most << " bytes of data came before a signal");
  CHECK(most <= (2 << 20));
}

TEST_CASE("driver: the reason of a CLOSE reaches a peer that is still sending") {
  TlsPair tls;
  for (int i = 0; i < 10; ++i) {
    Talk talk(i % 2 == 0 ? tls.make() : plain_pair());
    Flood flood{*talk.near, {talk.open()}};
    grant_all(talk.acceptor, *talk.far);
    talk.dialler.written = [&] { flood.pump(); };
    talk.dialler.then = [&](const wire::Event&) { flood.pump(); };
    flood.pump();
    talk.near->flush();
    run_until(talk.context, [&] { return talk.acceptor.bytes > 300'000; });
    talk.acceptor.then = nullptr;
    talk.far->session().close({Code::kRevoked, "the certificate was revoked", ""});
    talk.far->flush();
    talk.far.reset();  // nobody but itself keeps it open
    run_until(talk.context, [&] { return talk.dialler.heard("closed"); });
    CHECK(talk.dialler.events.back() == "closed revoked");
    CHECK(talk.acceptor.events.back() == "closed revoked");
  }
}

TEST_CASE("driver: a CLOSE that waits in the kernel is not lost to what the peer sends meanwhile") {
  int both[2];
  tcp_pair(both);
  const int small = 16 << 10;
  ::setsockopt(both[0], SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  asio::io_context context(1);
  Keeper keeper;
  auto driver = std::make_shared<SessionDriver>(
      context.get_executor(), std::make_unique<PlainTransport>(both[1]),
      options_of(wire::Side::kAcceptor), EndTimes{5s, Millis{50}});
  driver->start(keeper);
  driver->session().notice("n", {{"x", std::string(100'000, 'x')}});
  driver->session().close({Code::kRevoked, "the certificate was revoked", ""});
  driver->flush();
  driver.reset();
  // The peer sends, and reads only then: an end that was closed at once would answer by a reset.
  std::string heard;
  const std::string piece(10'000, 'z');
  run_until(context, [&] {
    static_cast<void>(::send(both[0], piece.data(), piece.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
    context.poll();
    char some[8'000];
    const ssize_t n = ::recv(both[0], some, sizeof some, MSG_DONTWAIT);
    if (n > 0) heard.append(some, static_cast<std::size_t>(n));
    return n == 0 || (n < 0 && errno != EAGAIN);
  });
  CHECK(heard.find("the certificate was revoked") != std::string::npos);
  ::close(both[0]);
}

TEST_CASE("driver: a detached handler is not called any more, and the peer hears why") {
  TlsPair tls;
  Talk talk(tls.make());
  const std::size_t heard = talk.acceptor.events.size();
  talk.far->detach({Code::kBusy, "superseded", ""});
  run_until(talk.context, [&] { return talk.dialler.heard("closed"); });
  CHECK(talk.dialler.events.back() == "closed busy");
  CHECK(talk.acceptor.events.size() == heard);
}

TEST_CASE("driver: a peer that goes away is told apart by how it went") {
  TlsPair tls;
  for (const bool politely : {false, true}) {
    Talk talk(tls.make());
    if (politely)
      talk.near->transport().shutdown();
    else
      ::shutdown(talk.near->transport().fd(), SHUT_RDWR);
    std::string why;
    talk.acceptor.then = [&](const wire::Event& event) {
      if (const auto* closed = std::get_if<wire::event::Closed>(&event))
        why = closed->error.message;
    };
    run_until(talk.context, [&] { return !why.empty(); });
    CHECK((why == "the peer closed the connection") == politely);
    CHECK(talk.acceptor.events.back() == "closed link_lost");
  }
}

TEST_CASE("driver: who starts a session on a dead connection hears of it in a later turn") {
  TransportPair pair = plain_pair();
  asio::io_context context(1);
  Keeper keeper;
  pair.far.reset();
  auto driver = std::make_shared<SessionDriver>(context.get_executor(), std::move(pair.near),
                                                options_of(wire::Side::kDialler));
  driver->session().send_hello({{"role", "user"}});
  driver->start(keeper);
  CHECK(keeper.events.empty());
  driver->session().request("whoami", wire::Map::object());
  run_until(context, [&] { return keeper.heard("closed"); });
  CHECK(keeper.events.back() == "closed link_lost");
}

TEST_CASE("driver: both ends are gone once a session is over") {
  TlsPair tls;
  Talk talk(tls.make());
  const std::weak_ptr<SessionDriver> near = talk.near, far = talk.far;
  talk.near->session().close({Code::kBusy, "", ""});
  talk.near->flush();
  talk.near.reset();
  talk.far.reset();
  const BootTime begun = BootClock::now();
  run_until(talk.context, [&] { return near.expired() && far.expired(); });
  CHECK(BootClock::now() - begun < 500ms);  // no timer has to pass for it
}

TEST_CASE("driver: a peer that takes nothing cannot keep an ended session, nor make it spin") {
  TransportPair pair = plain_pair();
  asio::io_context context(1);
  Keeper keeper;
  auto driver = std::make_shared<SessionDriver>(context.get_executor(), std::move(pair.far),
                                                options_of(wire::Side::kAcceptor),
                                                EndTimes{Millis{300}, Millis{100}});
  keeper.then = [&](const wire::Event& event) {
    if (std::holds_alternative<wire::event::Hello>(event))
      driver->session().send_hello({{"role", "controller"}});
  };
  driver->start(keeper);
  std::string asked = wire::test::raw_hello();
  for (int id = 1; id <= 200; ++id)
    asked += wire::test::raw_map(wire::FrameType::kRequest, 0, {{"id", id}, {"verb", "x"}});
  REQUIRE(pair.near->write(as_bytes(asked)).bytes == asked.size());
  run_until(context, [&] { return keeper.events.size() == 201; });
  const wire::Map large{{"x", std::string(100'000, 'x')}};
  for (int id = 1; id <= 8; ++id) driver->session().respond(static_cast<unsigned>(id), large);
  driver->flush();
  CHECK(handlers_within(context, Millis{100}) < 10);  // stuck, and quiet
  driver->session().close({Code::kRevoked, "", ""});
  driver->flush();
  const std::weak_ptr<SessionDriver> gone = driver;
  driver.reset();
  const BootTime begun = BootClock::now();
  std::size_t handlers = 0;
  while (!gone.expired() && BootClock::now() - begun < 5s)
    handlers += handlers_within(context, Millis{50});
  CHECK(gone.expired());
  CHECK(BootClock::now() - begun < 2s);
  CHECK(handlers < 20);
}

TEST_CASE("driver: a peer that takes all at once does not hold the thread") {
  asio::io_context context(1);
  Keeper keeper;
  auto driver = std::make_shared<SessionDriver>(
      context.get_executor(), std::make_unique<Abyss>(plain_pair()),
      options_of(wire::Side::kAcceptor), EndTimes{Millis{50}, Millis{50}});
  std::size_t deepest = 0, depth = 0, flights = 0;
  bool fired = false;
  keeper.written = [&] {
    deepest = std::max(deepest, ++depth);
    REQUIRE(++flights < 10'000);
    if (!fired) driver->session().notice("n", {{"x", std::string(30'000, 'x')}});
    driver->flush();  // what a handler may do: no recursion comes of it
    --depth;
  };
  driver->start(keeper);
  driver->session().send_hello({{"role", "controller"}});
  driver->flush();
  asio::post(context, [&] { fired = true; });
  run_until(context, [&] { return fired; });
  CHECK(flights > 2);
  CHECK(deepest == 1);
  driver->detach({Code::kBusy, "", ""});
  const std::weak_ptr<SessionDriver> gone = driver;
  driver.reset();
  run_until(context, [&] { return gone.expired(); });
}

TEST_CASE("driver: a peer that sends without end does not hold the thread of an ended session") {
  TransportPair pair = plain_pair();
  asio::io_context context(1);
  Keeper keeper;
  const int fd = ::fcntl(pair.near->fd(), F_DUPFD_CLOEXEC, 3);
  ::fcntl(fd, F_SETFL, 0);
  pair.near.reset();
  auto driver = std::make_shared<SessionDriver>(context.get_executor(), std::move(pair.far),
                                                options_of(wire::Side::kAcceptor),
                                                EndTimes{Millis{500}, Millis{300}});
  driver->start(keeper);
  const std::weak_ptr<SessionDriver> gone = driver;
  driver.reset();
  Elsewhere writer(fd);  // what it sends is no frame: the session ends
  run_until(context, [&] { return keeper.heard("closed protocol"); });
  Timer timer(context.get_executor());
  bool fired = false;
  const BootTime begun = BootClock::now();
  timer.arm(Millis{20}, [&] { fired = true; });
  run_until(context, [&] { return fired; });
  CHECK(BootClock::now() - begun < 250ms);
  run_until(context, [&] { return gone.expired(); });
  CHECK(BootClock::now() - begun < 2s);
}

TEST_CASE("driver: a stalled stream leaves the others their speed") {
  TlsPair tls;
  Talk talk(tls.make());
  const wire::StreamId stalled = talk.open(), lively = talk.open();
  Flood flood{*talk.near, {stalled, lively}};
  std::uint64_t read = 0, of_stalled = 0;
  talk.acceptor.then = [&](const wire::Event& event) {
    const auto* data = std::get_if<wire::event::Data>(&event);
    if (data == nullptr) return;
    (data->stream == stalled ? of_stalled : read) += data->frame.payload().size();
    if (data->stream == lively) talk.far->session().grant(lively, read + wire::kInitialWindow);
  };
  talk.dialler.written = [&] { flood.pump(); };
  talk.dialler.then = [&](const wire::Event&) { flood.pump(); };
  flood.pump();
  talk.near->flush();
  run_until(talk.context, [&] { return read > (20 << 20); });
  CHECK(of_stalled == wire::kInitialWindow);
  CHECK(talk.near->session().queued(stalled) == 0);
}
