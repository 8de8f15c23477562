// What a peer can make a session hold, and that many sessions do not meet.
#include <doctest/doctest.h>

#include "tests/unit/wire/harness.hpp"

using namespace rexec;
using namespace rexec::wire;
using namespace rexec::wire::test;

TEST_CASE("limits: half frames of a thousand sessions do not mix") {  // FAULTS W15
  struct Half {
    Session session = welcoming();
    std::string bytes;
    std::size_t fed = 0;
  };
  std::vector<Half> halves(1000);
  for (std::size_t i = 0; i < halves.size(); ++i) {
    const std::string name = "s" + std::to_string(i);
    halves[i].bytes = raw_hello({{"role", name}, {"versions", {1, 1}}}) +
                      raw_map(FrameType::kRequest, 0, Map{{"id", i + 1}, {"verb", name}}) +
                      raw_map(FrameType::kOpen, 1, Map{{"kind", name}}) +
                      raw(FrameType::kData, 1, name, 1);
  }
  for (std::size_t moved = 1; moved != 0;) {
    moved = 0;
    for (std::size_t i = 0; i < halves.size(); ++i) {
      Half& half = halves[i];
      const std::string_view piece = std::string_view(half.bytes).substr(half.fed, 1 + i % 23);
      half.session.receive(kStart, as_bytes(piece));
      half.fed += piece.size();
      moved += piece.size();
    }
  }
  for (std::size_t i = 0; i < halves.size(); ++i) {
    const std::string name = "s" + std::to_string(i);
    const Trace expected{"hello " + name, "request " + std::to_string(i + 1) + " " + name,
                         "opened 1 " + name, "data 1 out " + name};
    const bool same = trace(halves[i].session) == expected;
    CHECK(same);
  }
}

TEST_CASE("limits: a peer that pings and never reads is cut off with a reason") {
  Pair pair;
  std::string pings;
  for (int i = 0; i < 1000; ++i) pings += raw(FrameType::kPing, 0, "12345678");
  int rounds = 0;
  for (; !pair.acceptor.closed() && rounds < 1000; ++rounds) feed(pair.acceptor, pings);
  CHECK(rounds < 50);
  CHECK(trace(pair.acceptor) == Trace{"closed limit"});
  CHECK(take(pair.acceptor).size() < 200);  // the CLOSE, not a megabyte of PONGs before it
}

TEST_CASE("limits: what this side sends of its own accord never ends the session") {
  Pair pair;
  const Map large{{"x", std::string(2'000, 'x')}};
  for (int i = 0; i < 2'000; ++i) {
    pair.acceptor.notice("n", large);
    const StreamId stream = pair.acceptor.open("attach", large);
    pair.acceptor.send_signal(stream, large);
    if (i % 2 == 0) pair.acceptor.reset(stream, {Code::kConflict, "", ""});
    pair.acceptor.request("job.stop", large);
  }
  CHECK_FALSE(pair.acceptor.closed());
  CHECK(pair.acceptor.is_backlogged());
  pair.exchange();
  CHECK_FALSE(pair.dialler.closed());
  CHECK_FALSE(pair.acceptor.is_backlogged());
}

TEST_CASE("limits: requests beyond those under way go, in order, when answers came") {
  Pair pair;
  for (std::size_t i = 1; i <= kMaxUnanswered + 100; ++i) pair.acceptor.request("q", {{"n", i}});
  std::size_t answered = 0;
  for (std::size_t round = 0; answered < kMaxUnanswered + 100 && round < 100; ++round) {
    pair.exchange();
    Event event;
    std::size_t came = 0;
    while (pair.dialler.next_event(event)) {
      const auto* request = std::get_if<event::Request>(&event);
      if (request == nullptr) continue;
      CHECK(request->id == ++answered);
      CHECK(++came <= kRequestsUnderWay);
      pair.dialler.respond(request->id, Map::object());
    }
    pair.acceptor.check_invariants();
  }
  CHECK(answered == kMaxUnanswered + 100);
  CHECK_FALSE(pair.dialler.closed());
}

TEST_CASE("limits: an answer to a request that was not sent yet ends the session") {
  Pair pair;
  for (std::size_t i = 0; i <= kRequestsUnderWay; ++i) pair.dialler.request("q", Map::object());
  trace(pair.dialler);
  feed(pair.dialler, raw_map(FrameType::kResponse, 0,
                             Map{{"id", kRequestsUnderWay + 1}, {"result", Map::object()}}));
  CHECK(trace(pair.dialler) == Trace{"closed protocol"});
}

TEST_CASE("limits: answers that nobody takes are bounded") {
  Pair pair;
  const Map large{{"x", std::string(200'000, 'x')}};
  std::size_t answered = 0;
  for (; !pair.acceptor.closed() && answered < 1'000; ++answered) {
    feed(pair.acceptor,
         raw_map(FrameType::kRequest, 0, Map{{"id", answered + 1}, {"verb", "job.ls"}}));
    pair.acceptor.respond(answered + 1, large);
  }
  CHECK(answered * 200'000 > kMaxQueuedAnswers);
  CHECK(answered * 200'000 < kMaxQueuedAnswers + 1'000'000);
}

TEST_CASE("limits: relayed data beyond a reader's window ends its stream, whatever the credit") {
  Pair pair;
  const StreamId small = pair.dialler.open("attach", Map::object());
  const StreamId whole = pair.dialler.open("attach", Map::object());
  pair.exchange();
  trace(pair.acceptor);
  pair.acceptor.limit_window(small, kLeastWindow);
  const auto relay = [&](StreamId stream) {
    pair.acceptor.relay(stream, data_frame(std::string(kLeastWindow / 2, 'x')));
  };
  // Data that was taken makes room again.
  for (int i = 0; i < 4; ++i) {
    relay(small);
    relay(small);
    CHECK(pair.acceptor.has_stream(small));
    take(pair.acceptor);
  }
  for (int i = 0; i < 3; ++i) {
    relay(small);
    relay(whole);
  }
  CHECK(trace(pair.acceptor) == Trace{"reset " + std::to_string(small) + " protocol"});
  CHECK(pair.acceptor.has_stream(whole));
}

TEST_CASE("limits: signals for a peer that does not take them cost their stream alone") {
  Pair pair;
  const StreamId stream = pair.dialler.open("attach", Map::object());
  pair.exchange();
  trace(pair.acceptor);
  const std::string signal = pack({{"t", "signal"}, {"x", std::string(1'000, 'x')}});
  for (int i = 0; i < 2'000; ++i)
    pair.acceptor.relay(stream, make_frame(FrameType::kSignal, 7, as_bytes(signal)));
  CHECK(trace(pair.acceptor) == Trace{"reset 1 limit"});
  CHECK_FALSE(pair.acceptor.closed());
}

TEST_CASE("limits: credit that is held back for a full control lane is given when it has room") {
  Pair pair;
  const StreamId stream = pair.dialler.open("attach", Map::object());
  pair.exchange();
  const std::string bytes(60'000, 'd');
  pair.dialler.send_data(stream, Channel::kIn, data_frame(bytes));
  pair.exchange();
  for (int i = 0; i < 10; ++i) pair.acceptor.notice("n", {{"x", std::string(100'000, 'x')}});
  pair.acceptor.grant(stream, bytes.size() + kInitialWindow);
  const std::uint64_t before = pair.dialler.sendable(stream);
  pair.exchange();
  CHECK(pair.dialler.sendable(stream) == before + bytes.size());
}

TEST_CASE("limits: for a stranger who pings and never reads 16 KiB are kept") {
  Session session = welcoming(Trust::kStranger);
  feed(session, raw_hello());
  std::string pings;
  for (int i = 0; i < 100; ++i) pings += raw(FrameType::kPing, 0, "12345678");
  int rounds = 0;
  for (; !session.closed() && rounds < 1000; ++rounds) feed(session, pings);
  CHECK(rounds <= 8);
  CHECK(trace(session) == Trace{"hello user", "closed limit"});
}

TEST_CASE("limits: closing a session whose control lane is full ends it once") {
  Pair pair;
  const Map large{{"x", std::string(200'000, 'x')}};
  while (!pair.acceptor.closed() && pair.acceptor.has_output() == false)
    for (int i = 0; i < 6; ++i) pair.acceptor.notice("n", large);
  pair.acceptor.close({Code::kRevoked, "", ""});
  CHECK(trace(pair.acceptor) == Trace{"closed revoked"});
  pair.exchange();
  CHECK(trace(pair.dialler).back() == "closed revoked");
}

TEST_CASE("limits: a thousand requests may wait for their answers, not more") {
  Session session = welcoming();
  feed(session, raw_hello());
  for (int id = 1; id <= 1024; ++id)
    feed(session, raw_map(FrameType::kRequest, 0, Map{{"id", id}, {"verb", "node.wait"}}));
  CHECK(trace(session).size() == 1025);
  feed(session, raw_map(FrameType::kRequest, 0, Map{{"id", 2000}, {"verb", "node.wait"}}));
  CHECK(trace(session) == Trace{"closed limit"});
}

TEST_CASE("limits: events for a reader that stalls are bounded by count and by bytes") {
  struct Row {
    std::size_t size;
    std::size_t sent;  // the last of them is one too many
  };
  for (const Row& row : {Row{1, 4097}, Row{100'000, 11}}) {
    Pair pair;
    const StreamId stream = pair.dialler.open("attach", Map::object());
    pair.exchange();
    trace(pair.acceptor);
    const Map event{{"t", "gap"}, {"x", std::string(row.size, 'x')}};
    std::size_t sent = 0;
    for (; pair.acceptor.has_stream(stream) && sent < 5000; ++sent)
      pair.acceptor.send_event(stream, event);
    CHECK(sent == row.sent);
    CHECK(trace(pair.acceptor) == Trace{"reset 1 limit"});
    pair.exchange();
    CHECK(trace(pair.dialler) == Trace{"reset 1 limit"});
  }
}

TEST_CASE("limits: a window of single bytes for a stalled reader takes little more than a window") {
  Pair pair;
  const StreamId stream = pair.dialler.open("attach", Map::object());
  pair.exchange();
  std::string sent;
  while (pair.acceptor.sendable(stream) > 0) {
    const char byte = static_cast<char>('a' + sent.size() % 23);
    sent += byte;
    pair.acceptor.send_data(stream, Channel::kOut, data_frame(std::string(1, byte)));
  }
  CHECK(sent.size() == kInitialWindow);
  CHECK(pair.acceptor.queued(stream) < kInitialWindow + kInitialWindow / 512);
  feed(pair.dialler, take(pair.acceptor));
  std::string received;
  Event event;
  while (pair.dialler.next_event(event)) {
    if (const auto* data = std::get_if<event::Data>(&event))
      received += as_text(data->frame.payload());
  }
  const bool same = received == sent;
  CHECK(same);
}

TEST_CASE("limits: small pieces that cannot be joined are bounded by number") {
  Pair pair;
  const StreamId stream = pair.dialler.open("attach", Map::object());
  pair.exchange();
  trace(pair.acceptor);
  std::size_t sent = 0;
  for (; pair.acceptor.has_stream(stream) && sent < 100'000; ++sent) {
    const std::uint16_t channel = sent % 2 == 0 ? 1 : 2;
    pair.acceptor.relay(stream, make_frame(FrameType::kData, stream, as_bytes("x"), channel));
  }
  CHECK(sent == kMaxQueuedFrames + 1);
  CHECK(trace(pair.acceptor) == Trace{"reset 1 limit"});
}

TEST_CASE("limits: events that were taken count no more") {
  Pair pair;
  const StreamId stream = pair.dialler.open("attach", Map::object());
  pair.exchange();
  for (int i = 0; i < 20'000; ++i) {
    pair.acceptor.send_event(stream, {{"t", "tick"}});
    if (i % 1000 == 999) take(pair.acceptor);
  }
  CHECK(pair.acceptor.has_stream(stream));
}

TEST_CASE("limits: a grant for a stream that is gone, and frames of one, cost nothing") {
  Pair pair;
  const StreamId stream = pair.dialler.open("attach", Map::object());
  pair.exchange();
  pair.acceptor.reset(stream, {});
  pair.acceptor.grant(stream, 1 << 30);
  pair.acceptor.send_signal(stream, {{"t", "stop"}});
  pair.acceptor.relay(stream, data_frame("x"));
  CHECK(pair.acceptor.queued(stream) == 0);
  pair.exchange();
  CHECK(trace(pair.dialler) == Trace{"reset 1 internal"});
}
