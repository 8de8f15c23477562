// What the tests of sessions share: events as short text, frames made by hand, and bytes carried
// from one session to another.
#pragma once

#include <string>
#include <vector>

#include "src/wire/session.hpp"

namespace rexec::wire::test {

using namespace std::chrono_literals;

inline const BootTime kStart{std::chrono::hours(1)};

inline SessionOptions options(Side side, Trust trust = Trust::kAuthenticated) {
  SessionOptions made;
  made.side = side;
  made.trust = trust;
  made.now = kStart;
  return made;
}

// "data 1 out abc", "ended 3", "closed protocol": one line an event, so that a whole trace can be
// compared.
struct Describe {
  std::string operator()(const event::Hello& e) const { return "hello " + text_or(e.map, "role"); }
  std::string operator()(const event::Request& e) const {
    return "request " + std::to_string(e.id) + " " + e.verb;
  }
  std::string operator()(const event::Response& e) const {
    return "response " + std::to_string(e.id) + " " +
           (e.result ? e.result->dump() : std::string(code_name(e.result.error().code)));
  }
  std::string operator()(const event::Notice& e) const { return "notice " + e.verb; }
  std::string operator()(const event::Opened& e) const {
    return "opened " + std::to_string(e.stream) + " " + e.kind;
  }
  std::string operator()(const event::Data& e) const {
    constexpr const char* kNames[] = {"in", "out", "err", "spec"};
    return "data " + std::to_string(e.stream) + " " + kNames[static_cast<int>(e.channel)] + " " +
           std::string(as_text(e.frame.payload()));
  }
  std::string operator()(const event::Event& e) const { return map("event", e.stream, e.frame); }
  std::string operator()(const event::Signal& e) const { return map("signal", e.stream, e.frame); }
  std::string operator()(const event::Credit& e) const {
    return "credit " + std::to_string(e.stream) + " " + std::to_string(e.limit);
  }
  std::string operator()(const event::Ended& e) const {
    return "ended " + std::to_string(e.stream);
  }
  std::string operator()(const event::Reset& e) const {
    return "reset " + std::to_string(e.stream) + " " + std::string(code_name(e.error.code));
  }
  std::string operator()(const event::Closed& e) const {
    return "closed " + std::string(code_name(e.error.code));
  }
  static std::string map(const char* what, StreamId stream, const Frame& frame) {
    const auto map = parse_map(frame.payload());
    return std::string(what) + " " + std::to_string(stream) + " " +
           (map ? text_or(*map, "t") : std::string("unreadable"));
  }
};

inline std::vector<std::string> trace(Session& session) {
  session.check_invariants();
  std::vector<std::string> out;
  Event event;
  while (session.next_event(event)) out.push_back(std::visit(Describe{}, event));
  return out;
}

inline std::string take(Session& session, BootTime now = kStart,
                        std::size_t most = std::size_t{1} << 30) {
  std::string out;
  for (const Buffer& piece : session.take_output(now, most)) out += as_text(piece);
  session.check_invariants();
  return out;
}

inline void feed(Session& session, std::string_view bytes, BootTime now = kStart) {
  session.receive(now, as_bytes(bytes));
  session.check_invariants();
}

// An acceptor that lets everybody in; its HELLO is out already.
inline Session welcoming(Trust trust = Trust::kAuthenticated) {
  Session session(options(Side::kAcceptor, trust));
  session.send_hello({{"role", "controller"}});
  take(session);
  return session;
}

// Everything that either has to say reaches the other.
inline void exchange(Session& a, Session& b, BootTime now = kStart) {
  while (a.has_output() || b.has_output()) {
    feed(b, take(a, now), now);
    feed(a, take(b, now), now);
  }
}

// A dialler and an acceptor that have said HELLO to each other.
struct Pair {
  Session dialler;
  Session acceptor;
  explicit Pair(std::uint32_t max_streams = 256)
      : dialler(options(Side::kDialler)), acceptor(limited(max_streams)) {
    dialler.send_hello({{"role", "user"}});
    acceptor.send_hello({{"role", "controller"}});
    exchange();
    trace(dialler);
    trace(acceptor);
  }
  void exchange(BootTime now = kStart) { test::exchange(dialler, acceptor, now); }
  static SessionOptions limited(std::uint32_t max_streams) {
    SessionOptions made = options(Side::kAcceptor);
    made.max_streams = max_streams;
    return made;
  }
};

inline std::string raw(FrameType type, StreamId stream, std::string_view payload,
                       std::uint16_t flags = 0) {
  const Frame frame = make_frame(type, stream, as_bytes(payload), flags);
  return std::string(as_text(frame.bytes()));
}
inline std::string raw_map(FrameType type, StreamId stream, const Map& map) {
  return raw(type, stream, pack(map));
}
inline std::string raw_hello(Map map = {{"role", "user"}, {"versions", {1, 1}}}) {
  return raw_map(FrameType::kHello, 0, map);
}
inline std::string raw_credit(StreamId stream, std::uint64_t limit) {
  std::string payload(8, '\0');
  store_be(reinterpret_cast<std::uint8_t*>(payload.data()), limit);
  return raw(FrameType::kCredit, stream, payload);
}
inline Frame data_frame(std::string_view payload) {
  return make_frame(FrameType::kData, 0, as_bytes(payload));
}

using Trace = std::vector<std::string>;

}  // namespace rexec::wire::test
