// Two sessions back to back: whatever they do, in whatever order and however their bytes are cut,
// each stream arrives as it was sent. Seeded; a failure prints the seed.
#include <doctest/doctest.h>

#include <map>
#include <random>

#include "tests/unit/wire/harness.hpp"

using namespace rexec;
using namespace rexec::wire;
using namespace rexec::wire::test;

namespace {

// Byte `at` of what one side sends on a stream; no two places look alike for long.
char content(StreamId stream, std::uint64_t at) {
  return static_cast<char>(((at + 1) * 2654435761U + stream * 40503U) >> 11);
}

struct Flow {  // one direction of one stream
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  std::vector<std::string> said;  // events and signals, and offsets where an event stood
  std::vector<std::string> heard;
  bool ended = false;
  bool heard_end = false;
};

struct End {
  Session session;
  std::string inbox;
  std::map<StreamId, Flow> flows;  // what this end sends
  std::vector<std::string> asked, answered;
};

class Duel {
 public:
  explicit Duel(std::uint64_t seed)
      : random_(seed),
        heavy_(seed % 8 == 0),
        ends_{{Session(options(Side::kDialler)), {}, {}, {}, {}},
              {Session(options(Side::kAcceptor)), {}, {}, {}, {}}} {
    for (End& end : ends_) end.session.send_hello({{"role", "user"}});
  }
  void run(int steps) {
    for (int i = 0; i < steps; ++i) step();
    while (busy()) {
      move(0);
      move(1);
      for (const StreamId stream : streams_) grant(static_cast<int>(below(2)), stream);
    }
    for (const StreamId stream : streams_) {
      finish(0, stream);
      finish(1, stream);
    }
    while (busy()) {
      move(0);
      move(1);
    }
    verify();
  }

  std::size_t out_of_credit = 0;

 private:
  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  bool busy() const {
    for (const End& end : ends_)
      if (end.session.has_output() || !end.inbox.empty()) return true;
    return false;
  }
  StreamId any_stream() { return streams_.empty() ? 0 : streams_[below(streams_.size())]; }

  void step() {
    const int who = static_cast<int>(below(2));
    Session& session = ends_[who].session;
    const StreamId stream = any_stream();
    switch (below(16)) {
      case 0:
        if (session.greeted() && streams_.size() < (heavy_ ? 1 : 6))
          streams_.push_back(session.open("x", {{"n", streams_.size()}}));
        return;
      case 1:
      case 2:
      case 3:
        return send_data(who, stream);
      case 4:
        return say(who, stream, "event");
      case 5:
        return say(who, stream, "signal");
      case 6:
        return grant(who, stream);
      case 7:
        if (!heavy_ && below(20) == 0) finish(who, stream);
        return;
      case 8:
        now_ += Millis(static_cast<std::int64_t>(below(50)));
        return session.tick(now_);
      case 9:
        if (session.greeted() && below(4) == 0) {
          const RequestId id = session.request("r", {{"n", below(100)}});
          ends_[who].asked.push_back("response " + std::to_string(id) +
                                     " {\"id\":" + std::to_string(id) + "}");
        }
        return;
      default:
        move(who);
    }
  }
  void send_data(int who, StreamId stream) {
    Session& session = ends_[who].session;
    const std::uint64_t most = heavy_ || below(8) == 0 ? kMaxData : 300;
    const std::uint64_t size = std::min(session.sendable(stream), 1 + below(most));
    if (size == 0) {
      out_of_credit += session.has_stream(stream) && !ends_[who].flows[stream].ended ? 1 : 0;
      return;
    }
    Flow& flow = ends_[who].flows[stream];
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i) bytes[i] = content(stream, flow.sent + i);
    session.send_data(stream, Channel::kOut, data_frame(bytes));
    flow.sent += size;
  }
  void say(int who, StreamId stream, const std::string& kind) {
    Session& session = ends_[who].session;
    Flow& flow = ends_[who].flows[stream];
    if (!session.has_stream(stream) || flow.ended) return;  // later ones may cross the end
    const Map map{{"t", kind + std::to_string(flow.said.size())}};
    // An event keeps its place among the bytes, a signal may overtake them.
    flow.said.push_back(kind == "event" ? kind + "@" + std::to_string(flow.sent) : kind);
    if (kind == "event")
      session.send_event(stream, map);
    else
      session.send_signal(stream, map);
  }
  void grant(int who, StreamId stream) {
    Flow& flow = ends_[1 - who].flows[stream];
    ends_[who].session.grant(stream, flow.received + kInitialWindow);
  }
  void finish(int who, StreamId stream) {
    if (!ends_[who].session.has_stream(stream)) return;
    ends_[who].session.end(stream);
    ends_[who].flows[stream].ended = true;
  }
  // Some output goes under way, some of what is under way arrives.
  void move(int who) {
    End& from = ends_[who];
    End& to = ends_[1 - who];
    to.inbox += take(from.session, now_, below(3) == 0 ? 1 : 1 + below(200'000));
    std::size_t n = std::min<std::size_t>(to.inbox.size(), 1 + below(below(2) == 0 ? 40 : 100'000));
    const MutableBytes direct = to.session.direct_target();
    if (!direct.empty()) {
      n = std::min(n, direct.size());
      std::memcpy(direct.data(), to.inbox.data(), n);
      to.session.direct_received(now_, n);
    } else {
      to.session.receive(now_, as_bytes(std::string_view(to.inbox).substr(0, n)));
    }
    to.inbox.erase(0, n);
    to.session.check_invariants();
    Event event;
    while (to.session.next_event(event)) hear(to, from, event);
  }
  static void hear(End& to, End& from, const Event& event) {
    if (const auto* data = std::get_if<event::Data>(&event)) {
      Flow& flow = from.flows[data->stream];
      bool same = true;
      for (const std::uint8_t byte : data->frame.payload())
        same = same && static_cast<char>(byte) == content(data->stream, flow.received++);
      REQUIRE(same);
    } else if (const auto* said = std::get_if<event::Event>(&event)) {
      Flow& flow = from.flows[said->stream];
      flow.heard.push_back("event@" + std::to_string(flow.received));
    } else if (const auto* signal = std::get_if<event::Signal>(&event)) {
      from.flows[signal->stream].heard.push_back("signal");
    } else if (const auto* ended = std::get_if<event::Ended>(&event)) {
      REQUIRE_FALSE(std::exchange(from.flows[ended->stream].heard_end, true));
    } else if (const auto* request = std::get_if<event::Request>(&event)) {
      to.session.respond(request->id, Map{{"id", request->id}});
    } else if (std::holds_alternative<event::Response>(event)) {
      to.answered.push_back(std::visit(Describe{}, event));
    } else {
      REQUIRE_FALSE(std::holds_alternative<event::Closed>(event));
      REQUIRE_FALSE(std::holds_alternative<event::Reset>(event));
    }
  }
  static std::vector<std::string> only_events(const std::vector<std::string>& all) {
    std::vector<std::string> out;
    for (const auto& one : all)
      if (one != "signal") out.push_back(one);
    return out;
  }
  void verify() {
    for (End& end : ends_) {
      CHECK(end.session.stream_count() == 0);
      CHECK(end.answered == end.asked);
      for (const auto& [stream, flow] : end.flows) {
        CHECK(flow.received == flow.sent);
        CHECK(only_events(flow.heard) == only_events(flow.said));
        CHECK(flow.heard.size() == flow.said.size());
        CHECK(flow.heard_end == flow.ended);
      }
    }
  }

  std::mt19937_64 random_;
  bool heavy_;  // one stream that meets its credit
  BootTime now_ = kStart;
  End ends_[2];
  std::vector<StreamId> streams_;
};

}  // namespace

TEST_CASE("session: random work over randomly cut bytes delivers every stream as it was sent") {
  std::size_t out_of_credit = 0;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    INFO("seed " << seed);
    Duel duel(seed);
    duel.run(seed % 8 == 0 ? 6000 : 600);
    out_of_credit += duel.out_of_credit;
  }
  MESSAGE(out_of_credit << " times a sender was out of credit");
  CHECK(out_of_credit > 1000);
}
