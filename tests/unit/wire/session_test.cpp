// Sessions: the login, requests and heartbeats; both sides as pure machines.
#include "src/wire/session.hpp"

#include <doctest/doctest.h>

#include "tests/unit/wire/harness.hpp"

using namespace rexec;
using namespace rexec::wire;
using namespace rexec::wire::test;

namespace {

// What a fresh acceptor makes of these bytes.
Trace heard(std::string_view bytes, Trust trust = Trust::kAuthenticated) {
  Session session = welcoming(trust);
  feed(session, bytes);
  return trace(session);
}

Result<std::uint16_t> agreed(VersionRange a, VersionRange b) { return negotiate(a, b); }

}  // namespace

TEST_CASE("session: both sides greet each other and learn what the other said") {
  Session dialler(options(Side::kDialler));
  Session acceptor(options(Side::kAcceptor));
  dialler.send_hello({{"role", "user"}});
  acceptor.send_hello({{"role", "controller"}});
  exchange(dialler, acceptor);
  CHECK(trace(dialler) == Trace{"hello controller"});
  CHECK(trace(acceptor) == Trace{"hello user"});
  CHECK(dialler.greeted());
  CHECK(acceptor.greeted());
}

TEST_CASE("session: the highest common version is chosen by both alike") {  // FAULTS W9
  struct Row {
    VersionRange ours, theirs;
    int chosen;  // 0: refused
  };
  const Row rows[] = {{{1, 1}, {1, 1}, 1}, {{1, 1}, {1, 9}, 1}, {{1, 5}, {3, 9}, 5},
                      {{4, 5}, {1, 3}, 0}, {{1, 3}, {4, 5}, 0}, {{2, 4}, {1, 2}, 2}};
  for (const Row& row : rows) {
    for (const auto& chosen : {agreed(row.ours, row.theirs), agreed(row.theirs, row.ours)}) {
      CHECK(chosen.value_or(0) == row.chosen);
      if (!chosen) CHECK(chosen.error().code == Code::kVersion);
    }
  }
}

TEST_CASE("session: without a common version it closes and names both ranges") {  // FAULTS W9
  SessionOptions strict = options(Side::kAcceptor);
  strict.versions = {2, 3};
  Session session(strict);
  feed(session, raw_hello({{"versions", {1, 1}}}));
  Event event;
  REQUIRE(session.next_event(event));
  const Error& error = std::get<event::Closed>(event).error;
  CHECK(error.code == Code::kVersion);
  CHECK(error.message == "no protocol version in common: here 2 to 3, there 1 to 1");
  Session peer(options(Side::kDialler));
  feed(peer, take(session));
  REQUIRE(peer.next_event(event));
  CHECK(std::get<event::Closed>(event).error.message == error.message);
}

TEST_CASE("session: HELLO without usable versions is refused") {
  const Map bad[] = {
      Map::object(),           {{"versions", {1}}},        {{"versions", {1, 2, 3}}},
      {{"versions", {2, 1}}},  {{"versions", {"1", "1"}}}, {{"versions", {1.0, 1.0}}},
      {{"versions", {-1, 1}}}, {{"versions", {1, 65536}}}, {{"versions", {{"0", 1}, {"1", 1}}}}};
  for (const Map& map : bad) CHECK(heard(raw_hello(map)) == Trace{"closed protocol"});
}

TEST_CASE("session: a second HELLO ends it") {  // FAULTS W10
  CHECK(heard(raw_hello() + raw_hello()) == Trace{"hello user", "closed protocol"});
}

TEST_CASE("session: any other first frame than HELLO or CLOSE ends it unread") {
  for (int type = 3; type <= 14; ++type) {
    const std::string payload(type == 13 ? 0 : 8, '\x80');
    const std::string early = raw(static_cast<FrameType>(type), 1, payload);
    CHECK(heard(early, Trust::kStranger) == Trace{"closed protocol"});
    if (type != 3) CHECK(heard(early) == Trace{"closed protocol"});
  }
  const Error error{Code::kRevoked, "the certificate was revoked", ""};
  CHECK(heard(raw_map(FrameType::kClose, 0, error_to_map(error))) == Trace{"closed revoked"});
}

TEST_CASE("session: what follows HELLO in the same bytes may have its full size already") {
  // A TLS record may carry HELLO and a large first request together.
  const std::string large(200'000, 'x');
  const std::string request = raw_map(
      FrameType::kRequest, 0, Map{{"id", 1}, {"verb", "reconcile"}, {"args", {{"x", large}}}});
  CHECK(heard(raw_hello() + request) == Trace{"hello user", "request 1 reconcile"});
}

TEST_CASE("session: before HELLO and for a stranger a map is at most 4 KiB") {  // FAULTS W6
  const std::string large(4'096, 'x');
  CHECK(heard(raw_hello({{"role", large}, {"versions", {1, 1}}})) == Trace{"closed limit"});
  const std::string request =
      raw_map(FrameType::kRequest, 0, Map{{"id", 1}, {"verb", "enrol"}, {"args", {{"x", large}}}});
  CHECK(heard(raw_hello() + request, Trust::kStranger) == Trace{"hello user", "closed limit"});
}

TEST_CASE("session: a stranger may ask, and open no stream") {
  const std::string asks = raw_map(FrameType::kRequest, 0, Map{{"id", 1}, {"verb", "enrol"}}) +
                           raw_map(FrameType::kOpen, 1, Map{{"kind", "attach"}});
  Session session = welcoming(Trust::kStranger);
  feed(session, raw_hello() + asks);
  CHECK(trace(session) == Trace{"hello user", "request 1 enrol"});
  CHECK(session.stream_count() == 0);
  Session peer(options(Side::kDialler));
  peer.open("attach", Map::object());
  feed(peer, raw_hello() + take(session).substr(0, 0));
  CHECK_FALSE(session.closed());
}

TEST_CASE("session: requests are answered by id, in any order, with results or errors") {
  Pair pair;
  CHECK(pair.dialler.request("node.ls", Map::object()) == 1);
  CHECK(pair.dialler.request("job.show", {{"job", "j-1"}}) == 2);
  pair.exchange();
  CHECK(trace(pair.acceptor) == Trace{"request 1 node.ls", "request 2 job.show"});
  pair.acceptor.respond(2, fail(Code::kUnknownJob, "no job j-1"));
  pair.acceptor.respond(1, Map{{"nodes", Map::array()}});
  pair.acceptor.respond(1, Map{{"twice", true}});  // nothing is owed any more
  pair.exchange();
  CHECK(trace(pair.dialler) == Trace{"response 2 unknown_job", "response 1 {\"nodes\":[]}"});
}

TEST_CASE("session: a request id in use is refused by a notice and the first keeps its answer") {
  // FAULTS W11
  Session session = welcoming();
  feed(session, raw_hello() + raw_map(FrameType::kRequest, 0, Map{{"id", 5}, {"verb", "status"}}) +
                    raw_map(FrameType::kRequest, 0, Map{{"id", 5}, {"verb", "node.rm"}}));
  CHECK(trace(session) == Trace{"hello user", "request 5 status"});
  session.respond(5, Map{{"ok", true}});
  Session peer(options(Side::kDialler));
  feed(peer, raw_hello());
  for (int i = 0; i < 5; ++i) peer.request("x", Map::object());
  feed(peer, take(session));
  CHECK(trace(peer) == Trace{"hello user", "notice duplicate_request", "response 5 {\"ok\":true}"});
}

TEST_CASE("session: a request id may be used again once it was answered") {
  Session session = welcoming();
  const std::string request = raw_map(FrameType::kRequest, 0, Map{{"id", 5}, {"verb", "status"}});
  feed(session, raw_hello() + request);
  session.respond(5, Map::object());
  feed(session, request);
  CHECK(trace(session) == Trace{"hello user", "request 5 status", "request 5 status"});
}

TEST_CASE("session: an answer to a request that was never made ends it") {
  for (const Map& map : {Map{{"id", 2}}, Map{{"id", 0}}, Map{{"id", -1}}, Map::object()}) {
    Pair pair;
    pair.dialler.request("status", Map::object());
    feed(pair.dialler, raw_map(FrameType::kResponse, 0, map));
    CHECK(trace(pair.dialler) == Trace{"closed protocol"});
  }
}

TEST_CASE("session: a message that no frame can carry fails here and not at the peer") {
  Pair pair;
  const Map huge{{"x", std::string(300'000, 'x')}};
  pair.dialler.request("reconcile", huge);
  const StreamId opened = pair.dialler.open("submit", huge);
  const StreamId stream = pair.dialler.open("attach", Map::object());
  CHECK_FALSE(pair.dialler.has_stream(opened));
  pair.exchange();
  pair.acceptor.send_event(stream, huge);
  pair.acceptor.notice("job.lost", huge);
  pair.exchange();
  CHECK(trace(pair.dialler) == Trace{"response 1 limit", "reset 1 limit", "reset 3 limit"});
  CHECK(trace(pair.acceptor) == Trace{"opened 3 attach", "reset 3 limit"});
  feed(pair.acceptor, raw_map(FrameType::kRequest, 0, Map{{"id", 9}, {"verb", "node.ls"}}));
  pair.acceptor.respond(9, huge);
  CHECK(take(pair.acceptor).find("the answer is larger") != std::string::npos);
}

TEST_CASE("session: it ends when a stranger's HELLO is 5 s late, and says so") {
  Session session(options(Side::kAcceptor, Trust::kStranger));
  CHECK(session.wake_at() == kStart + 5s);
  session.tick(kStart + 4999ms);
  CHECK_FALSE(session.closed());
  session.tick(kStart + 5s);
  CHECK(trace(session) == Trace{"closed timeout"});
  CHECK(take(session).find("no HELLO within 5 s") != std::string::npos);
}

TEST_CASE("session: who has shown a certificate may ping and wait with his HELLO") {
  Session session(options(Side::kAcceptor));
  for (auto now = kStart; now < kStart + 60s; now += 5s) {
    feed(session, raw(FrameType::kPing, 0, "12345678"), now);
    CHECK(take(session, now) == raw(FrameType::kPong, 0, "12345678"));
    session.tick(now);
  }
  CHECK(session.wake_at() == kStart + 55s + 15s);
  session.tick(session.wake_at());
  CHECK(trace(session) == Trace{"closed link_lost"});
}

TEST_CASE("session: who has shown a certificate may not wait with his HELLO for ever") {
  Session session(options(Side::kAcceptor));
  auto now = kStart;
  for (; now < kStart + kReadyDeadline; now += 5s) {
    feed(session, raw(FrameType::kPing, 0, "12345678"), now);
    take(session, now);
    session.tick(now);
    CHECK_FALSE(session.closed());
  }
  CHECK(session.wake_at() == kStart + kReadyDeadline);
  session.tick(session.wake_at());
  CHECK(trace(session) == Trace{"closed timeout"});
}

TEST_CASE("session: half a HELLO does not hold off the deadline") {
  Session session(options(Side::kAcceptor, Trust::kStranger));
  const std::string hello = raw_hello();
  for (std::size_t i = 0; i + 1 < hello.size(); ++i)
    feed(session, hello.substr(i, 1), kStart + 100ms * static_cast<int>(i));
  session.tick(kStart + 5s);
  CHECK(trace(session) == Trace{"closed timeout"});
}

TEST_CASE("session: a PING is sent after 5 silent seconds and answered with its own bytes") {
  Pair pair;
  pair.dialler.tick(kStart + 4999ms);
  CHECK_FALSE(pair.dialler.has_output());
  CHECK(pair.dialler.wake_at() == kStart + 5s);
  pair.dialler.tick(kStart + 5s);
  const std::string ping = take(pair.dialler, kStart + 5s);
  CHECK(ping.size() == kHeaderSize + 8);
  feed(pair.acceptor, ping, kStart + 5s);
  const std::string pong = take(pair.acceptor, kStart + 5s);
  CHECK(pong.substr(kHeaderSize) == ping.substr(kHeaderSize));
  CHECK(pong[5] == static_cast<char>(FrameType::kPong));
  feed(pair.dialler, pong, kStart + 5s);
  CHECK(trace(pair.dialler).empty());
  CHECK(pair.dialler.wake_at() == kStart + 10s);
}

TEST_CASE("session: who asks for a sign of life has it by when the last byte came") {
  Pair pair;
  pair.dialler.ping(kStart + 1s);
  pair.dialler.ping(kStart + 1s);
  CHECK(pair.dialler.last_received() < kStart + 1s);
  pair.exchange(kStart + 2s);
  CHECK(pair.dialler.last_received() == kStart + 2s);
  CHECK(trace(pair.dialler).empty());
  CHECK(trace(pair.acceptor).empty());
}

TEST_CASE("session: whoever sends needs no PING") {
  Pair pair;
  for (auto now = kStart; now < kStart + 60s; now += 4s) {
    pair.dialler.notice("x", Map::object());
    pair.exchange(now);
    pair.dialler.tick(now);
    CHECK_FALSE(pair.dialler.has_output());
  }
}

TEST_CASE("session: 15 s without any byte ends it, and nothing is left to be written") {
  Pair pair;
  auto now = kStart;
  for (; !pair.dialler.closed(); now = pair.dialler.wake_at()) {
    REQUIRE(now <= kStart + 15s);
    pair.dialler.tick(now);
  }
  CHECK(trace(pair.dialler) == Trace{"closed link_lost"});
  CHECK_FALSE(pair.dialler.has_output());
}

TEST_CASE("session: a stuck link is not asked about at every tick") {
  // The driver holds a flight that the socket does not take: what is queued stays queued.
  Pair pair;
  int ticks = 0;
  for (auto now = kStart; now < kStart + 60s; now = pair.dialler.wake_at()) {
    pair.dialler.tick(now);
    feed(pair.dialler, raw(FrameType::kPong, 0, "12345678"), now);  // it still hears
    CHECK(pair.dialler.wake_at() > now);
    ++ticks;
  }
  CHECK(ticks < 30);
  CHECK(take(pair.dialler).size() == kHeaderSize + 8);
}

TEST_CASE("session: the reason of a CLOSE reaches the peer, behind the answers given before it") {
  Pair pair;
  pair.dialler.request("whoami", Map::object());
  pair.exchange();
  trace(pair.acceptor);
  pair.acceptor.respond(1, Map{{"user", "ann"}});
  pair.acceptor.close({Code::kRevoked, "the certificate was revoked", "sign in again"});
  CHECK(trace(pair.acceptor) == Trace{"closed revoked"});
  pair.exchange();
  CHECK(trace(pair.dialler) == Trace{"response 1 {\"user\":\"ann\"}", "closed revoked"});
}

TEST_CASE("session: after the end nothing is read, sent or reported") {
  Pair pair;
  const StreamId stream = pair.dialler.open("attach", Map::object());
  pair.exchange();
  trace(pair.acceptor);
  pair.acceptor.close({Code::kBusy, "enough", ""});
  take(pair.acceptor);
  pair.acceptor.close({Code::kInternal, "again", ""});
  pair.acceptor.request("x", Map::object());
  pair.acceptor.open("x", Map::object());
  pair.acceptor.notice("x", Map::object());
  pair.acceptor.grant(stream, 1 << 30);
  pair.acceptor.reset(stream, {});
  pair.acceptor.end(stream);
  pair.acceptor.send_event(stream, Map::object());
  pair.acceptor.send_data(stream, Channel::kOut, data_frame("x"));
  pair.acceptor.tick(kStart + 60s);
  pair.acceptor.transport_lost("gone");
  feed(pair.acceptor, raw_hello());
  CHECK(trace(pair.acceptor) == Trace{"closed busy"});
  CHECK_FALSE(pair.acceptor.has_output());
  CHECK(pair.acceptor.sendable(stream) == 0);
}

TEST_CASE("session: a lost transport is told once, with its reason") {
  Pair pair;
  pair.dialler.transport_lost("Connection reset by peer");
  pair.dialler.transport_lost("again");
  Event event;
  REQUIRE(pair.dialler.next_event(event));
  CHECK(std::get<event::Closed>(event).error.code == Code::kLinkLost);
  CHECK(std::get<event::Closed>(event).error.message == "Connection reset by peer");
  CHECK_FALSE(pair.dialler.next_event(event));
}

TEST_CASE("session: an end says whether this side made it") {
  const auto by = [](Session& session) {
    Event event;
    event::By last{};
    while (session.next_event(event))
      if (const auto* closed = std::get_if<event::Closed>(&event)) last = closed->by;
    return last;
  };
  Pair cut;
  cut.acceptor.transport_lost("the peer closed the connection");
  CHECK(by(cut.acceptor) == event::By::kPeer);

  Pair silent;
  silent.acceptor.tick(kStart + std::chrono::hours(1));
  CHECK(by(silent.acceptor) == event::By::kPeer);

  Pair told;
  told.dialler.close({Code::kLinkLost, "the client is leaving", {}});
  told.exchange();
  CHECK(by(told.dialler) == event::By::kUs);
  CHECK(by(told.acceptor) == event::By::kPeer);
}
