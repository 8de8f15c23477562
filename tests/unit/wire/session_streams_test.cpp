// Streams of a session: credit, lanes, their life and their end.
#include <doctest/doctest.h>

#include "tests/unit/wire/harness.hpp"

using namespace rexec;
using namespace rexec::wire;
using namespace rexec::wire::test;

namespace {

// A pair with one stream that the dialler opened.
struct Open : Pair {
  StreamId stream;
  Open() : stream(dialler.open("attach", Map::object())) {
    exchange();
    trace(acceptor);
  }
  void fill(Session& session) {
    while (const auto room = std::min<std::uint64_t>(session.sendable(stream), kMaxData))
      session.send_data(stream, Channel::kOut, data_frame(std::string(room, 'd')));
  }
};

std::string data(StreamId stream, std::size_t size) {
  return raw(FrameType::kData, stream, std::string(size, 'd'), 1);
}

}  // namespace

TEST_CASE("streams: data, events, signals and the end arrive in order, with their channel") {
  Open pair;
  const StreamId s = pair.stream;
  pair.acceptor.send_event(s, {{"t", "attached"}});
  pair.acceptor.send_data(s, Channel::kOut, data_frame("one"));
  pair.acceptor.send_data(s, Channel::kErr, data_frame("two"));
  pair.acceptor.send_event(s, {{"t", "end"}});
  pair.acceptor.end(s);
  pair.dialler.send_data(s, Channel::kIn, data_frame("typed"));
  pair.dialler.send_signal(s, {{"t", "stop"}});
  pair.exchange();
  CHECK(trace(pair.dialler) ==
        Trace{"event 1 attached", "data 1 out one", "data 1 err two", "event 1 end", "ended 1"});
  CHECK(trace(pair.acceptor) == Trace{"signal 1 stop", "data 1 in typed"});
}

TEST_CASE("streams: the dialling side uses odd numbers, the accepting side even ones") {
  Pair pair;
  CHECK(pair.dialler.open("a", Map::object()) == 1);
  CHECK(pair.acceptor.open("b", Map::object()) == 2);
  CHECK(pair.dialler.open("c", Map::object()) == 3);
  pair.exchange();
  CHECK(trace(pair.acceptor) == Trace{"opened 1 a", "opened 3 c"});
  CHECK(trace(pair.dialler) == Trace{"opened 2 b"});
}

TEST_CASE("streams: OPEN with a wrong, used or smaller number ends the session") {
  for (const StreamId bad : {0U, 2U, 5U, 3U}) {
    Session session = welcoming();
    feed(session, raw_hello() + raw_map(FrameType::kOpen, 5, Map{{"kind", "a"}}));
    feed(session, raw_map(FrameType::kOpen, bad, Map{{"kind", "a"}}));
    CHECK(trace(session) == Trace{"hello user", "opened 5 a", "closed protocol"});
  }
}

TEST_CASE(
    "streams: one stream too many is answered by RESET and the session lives") {  // FAULTS W12
  Pair pair;
  for (int i = 0; i < 257; ++i) pair.dialler.open("attach", Map::object());
  pair.exchange();
  CHECK(trace(pair.acceptor).size() == 256);
  CHECK(trace(pair.dialler) == Trace{"reset 513 limit"});
  CHECK(pair.acceptor.stream_count() == 256);
  // What was sent on it before the RESET came is dropped, and one that ends makes room.
  feed(pair.acceptor, data(513, 10) + raw(FrameType::kEnd, 513, ""));
  pair.dialler.reset(1, {});
  CHECK(pair.dialler.open("attach", Map::object()) == 515);
  pair.exchange();
  CHECK(trace(pair.acceptor) == Trace{"reset 1 internal", "opened 515 attach"});
  CHECK_FALSE(pair.dialler.closed());
}

TEST_CASE("streams: more data than credit ends the session") {  // FAULTS W13
  Open pair;
  std::string allowed;
  for (std::uint64_t sent = 0; sent < kInitialWindow; sent += kMaxData)
    allowed += data(pair.stream, kMaxData);
  feed(pair.acceptor, allowed);
  CHECK_FALSE(pair.acceptor.closed());
  trace(pair.acceptor);
  feed(pair.acceptor, data(pair.stream, 1));
  CHECK(trace(pair.acceptor) == Trace{"closed protocol"});
}

TEST_CASE("streams: credit is absolute, and each grant allows what was read") {
  Open pair;
  pair.fill(pair.acceptor);
  CHECK(pair.acceptor.sendable(pair.stream) == 0);
  pair.exchange();
  trace(pair.dialler);
  pair.dialler.grant(pair.stream, kInitialWindow + 1000);
  pair.dialler.grant(pair.stream, kInitialWindow + 400);  // lower: no frame
  pair.exchange();
  CHECK(trace(pair.acceptor) == Trace{"credit 1 1049576"});
  CHECK(pair.acceptor.sendable(pair.stream) == 1000);
  feed(pair.acceptor, raw_credit(pair.stream, kInitialWindow + 1000));  // repeated
  feed(pair.acceptor, raw_credit(pair.stream, 0));
  CHECK(trace(pair.acceptor).empty());
  CHECK(pair.acceptor.sendable(pair.stream) == 1000);
}

TEST_CASE("streams: credit for bytes that were never read ends the session") {
  // A reader that grants without end and does not read would fill the relay's memory.
  for (const std::uint64_t limit : {kInitialWindow + 1, ~std::uint64_t{0}}) {
    Open pair;
    feed(pair.acceptor, raw_credit(pair.stream, limit));
    CHECK(trace(pair.acceptor) == Trace{"closed protocol"});
  }
  Open pair;
  pair.acceptor.send_data(pair.stream, Channel::kOut, data_frame("12345"));
  feed(pair.acceptor, raw_credit(pair.stream, kInitialWindow + 5));  // queued, not yet out
  CHECK(pair.acceptor.closed());
}

TEST_CASE("streams: a grant beyond the window is given as data comes") {
  // Two readers feed one stdin: what the second brought makes room on the first one's stream too.
  Open pair;
  pair.dialler.grant(pair.stream, 10 * kInitialWindow);
  CHECK_FALSE(pair.dialler.has_output());
  std::uint64_t sent = 0;
  while (sent < 10 * kInitialWindow) {
    const std::uint64_t room = std::min<std::uint64_t>(pair.acceptor.sendable(pair.stream), 60'000);
    REQUIRE(room > 0);
    pair.acceptor.send_data(pair.stream, Channel::kOut, data_frame(std::string(room, 'd')));
    sent += room;
    pair.exchange();
    trace(pair.dialler);
    trace(pair.acceptor);
  }
  CHECK_FALSE(pair.acceptor.closed());
}

TEST_CASE("streams: a stalled stream takes a window of memory and disturbs no other") {
  Open pair;
  const StreamId other = pair.dialler.open("attach", Map::object());
  pair.exchange();
  trace(pair.acceptor);
  pair.fill(pair.acceptor);
  CHECK(pair.acceptor.queued(pair.stream) <= kInitialWindow + 16 * kHeaderSize);
  pair.acceptor.send_data(other, Channel::kOut, data_frame("quick"));
  const std::string flight = take(pair.acceptor, kStart, 100'000);
  feed(pair.dialler, flight);
  const Trace seen = trace(pair.dialler);
  CHECK(std::find(seen.begin(), seen.end(), "data 3 out quick") != seen.end());
}

TEST_CASE("streams: control frames overtake queued data") {
  Open pair;
  pair.fill(pair.dialler);
  take(pair.dialler, kStart, 100'000);  // some is under way
  pair.dialler.send_signal(pair.stream, {{"t", "signal"}, {"n", 2}});
  const auto flight = pair.dialler.take_output(kStart, 100'000);
  REQUIRE_FALSE(flight.empty());
  CHECK(flight.front().data()[5] == static_cast<std::uint8_t>(FrameType::kSignal));
}

TEST_CASE("streams: many full streams take turns") {
  Pair pair;
  for (int i = 0; i < 4; ++i) {
    const StreamId stream = pair.dialler.open("x", Map::object());
    for (int k = 0; k < 4; ++k)
      pair.dialler.send_data(stream, k % 2 == 0 ? Channel::kOut : Channel::kErr,
                             data_frame(std::string(1, static_cast<char>('a' + k))));
  }
  pair.exchange();
  Trace seen = trace(pair.acceptor);
  seen.erase(seen.begin(), seen.begin() + 4);  // opened
  Trace expected;
  for (const char* piece : {"out a", "err b", "out c", "err d"})
    for (const char* stream : {"1", "3", "5", "7"})
      expected.push_back(std::string("data ") + stream + " " + piece);
  CHECK(seen == expected);
}

TEST_CASE("streams: each direction ends by itself, and the stream is gone after both") {
  Open pair;
  pair.dialler.end(pair.stream);
  pair.dialler.end(pair.stream);
  pair.dialler.send_data(pair.stream, Channel::kIn, data_frame("late"));
  pair.exchange();
  CHECK(trace(pair.acceptor) == Trace{"ended 1"});
  CHECK(pair.acceptor.has_stream(pair.stream));
  pair.acceptor.send_data(pair.stream, Channel::kOut, data_frame("still"));
  pair.dialler.send_signal(pair.stream, {{"t", "stop"}});  // stdin is finished, Ctrl-C is not
  pair.exchange();
  CHECK(trace(pair.acceptor) == Trace{"signal 1 stop"});
  pair.acceptor.end(pair.stream);
  pair.exchange();
  CHECK(trace(pair.dialler) == Trace{"data 1 out still", "ended 1"});
  CHECK_FALSE(pair.acceptor.has_stream(pair.stream));
  CHECK_FALSE(pair.dialler.has_stream(pair.stream));
}

TEST_CASE("streams: the end waits for the data before it") {
  Open pair;
  feed(pair.acceptor, raw(FrameType::kEnd, pair.stream, ""));
  pair.fill(pair.acceptor);
  pair.acceptor.end(pair.stream);
  while (pair.acceptor.has_output()) {
    CHECK(pair.acceptor.has_stream(pair.stream));
    feed(pair.dialler, take(pair.acceptor, kStart, 1));
  }
  CHECK_FALSE(pair.acceptor.has_stream(pair.stream));
  CHECK(trace(pair.dialler).back() == "ended 1");
}

TEST_CASE("streams: DATA, EVENT or END behind END ends the session") {
  for (const auto& late :
       {data(1, 1), raw_map(FrameType::kEvent, 1, Map::object()), raw(FrameType::kEnd, 1, "")}) {
    Open pair;
    feed(pair.acceptor, raw(FrameType::kEnd, 1, "") + late);
    CHECK(trace(pair.acceptor) == Trace{"ended 1", "closed protocol"});
  }
}

TEST_CASE("streams: RESET drops what was queued and tells the reason") {
  Open pair;
  pair.fill(pair.acceptor);
  pair.acceptor.reset(pair.stream, {Code::kNodeOffline, "node n1 is offline", ""});
  CHECK(pair.acceptor.queued(pair.stream) == 0);
  pair.exchange();
  CHECK(trace(pair.dialler) == Trace{"reset 1 node_offline"});
  CHECK(trace(pair.acceptor).empty());
  CHECK_FALSE(pair.dialler.has_stream(pair.stream));
}

TEST_CASE("streams: frames that cross a RESET or the end are dropped") {
  Open pair;
  pair.acceptor.reset(pair.stream, {Code::kBusy, "", ""});
  take(pair.acceptor);
  const StreamId s = pair.stream;
  feed(pair.acceptor, data(s, 100) + raw_map(FrameType::kEvent, s, Map::object()) +
                          raw_map(FrameType::kSignal, s, Map::object()) + raw_credit(s, 5) +
                          raw(FrameType::kEnd, s, "") +
                          raw_map(FrameType::kReset, s, error_to_map({})));
  CHECK(trace(pair.acceptor).empty());
  CHECK_FALSE(pair.acceptor.closed());
}

TEST_CASE("streams: a frame for a stream that never was ends the session") {
  for (const StreamId never : {0U, 2U, 3U, 4U, 0xFFFFFFFFU}) {
    const std::string frames[] = {data(never, 1),
                                  raw_map(FrameType::kEvent, never, Map::object()),
                                  raw_map(FrameType::kSignal, never, Map::object()),
                                  raw_credit(never, 1),
                                  raw(FrameType::kEnd, never, ""),
                                  raw_map(FrameType::kReset, never, error_to_map({}))};
    for (const std::string& frame : frames) {
      Open pair;
      feed(pair.acceptor, frame);
      CHECK(trace(pair.acceptor) == Trace{"closed protocol"});
    }
  }
}

TEST_CASE("streams: DATA on a channel that does not exist ends the session") {
  Open pair;
  feed(pair.acceptor, raw(FrameType::kData, pair.stream, "x", 4));
  CHECK(trace(pair.acceptor) == Trace{"closed protocol"});
}

TEST_CASE("streams: a relay passes frames on under its own numbers, and credit back") {
  Pair near;  // reader (dialler) — relay (acceptor)
  Pair far;   // relay (dialler) — node (acceptor)
  near.dialler.open("unused", Map::object());
  const StreamId in = near.dialler.open("attach", Map::object());
  near.exchange();
  const StreamId out = far.dialler.open("attach", Map::object());
  far.exchange();
  trace(near.acceptor), trace(far.acceptor);
  far.acceptor.send_data(out, Channel::kErr, data_frame("hello"));
  far.acceptor.send_event(out, {{"t", "started"}});
  far.acceptor.end(out);
  far.exchange();
  Event event;
  while (far.dialler.next_event(event)) {
    if (auto* d = std::get_if<event::Data>(&event)) near.acceptor.relay(in, std::move(d->frame));
    if (auto* e = std::get_if<event::Event>(&event)) near.acceptor.relay(in, std::move(e->frame));
    if (std::holds_alternative<event::Ended>(event)) near.acceptor.end(in);
  }
  near.exchange();
  CHECK(trace(near.dialler) == Trace{"data 3 err hello", "event 3 started", "ended 3"});
}

TEST_CASE("streams: a relay that is given more than the reader's credit tells both sides") {
  Open pair;
  pair.fill(pair.acceptor);
  pair.acceptor.relay(pair.stream, make_frame(FrameType::kData, 9, as_bytes("x"), 1));
  CHECK(trace(pair.acceptor) == Trace{"reset 1 protocol"});
  pair.exchange();
  CHECK(trace(pair.dialler).back() == "reset 1 protocol");
  CHECK_FALSE(pair.acceptor.closed());
}
