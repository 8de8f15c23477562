// A session of either side and trust against a peer that may send anything, while its own side
// opens streams, sends, grants and ends: login, requests, streams. After every step the machine's
// invariants hold, and Closed is the last event. The input is a little program: see `step`.
#include <cstddef>
#include <cstdint>
#include <string>

#include "src/base/check.hpp"
#include "src/wire/session.hpp"

namespace {

using namespace rexec;
using namespace rexec::wire;

class Program {
 public:
  explicit Program(ByteSpan bytes) : rest_(bytes) {
    const std::uint8_t kind = byte();
    SessionOptions options;
    options.side = (kind & 1) != 0 ? Side::kAcceptor : Side::kDialler;
    options.trust = (kind & 2) != 0 ? Trust::kStranger : Trust::kAuthenticated;
    options.max_streams = (kind & 4) != 0 ? 2 : 256;
    options.now = now_;
    session_.emplace(options);
    session_->send_hello({{"role", "user"}});
    if ((kind & 8) != 0) feed(raw(FrameType::kHello, 0, 0, hello()));
  }

  void run() {
    while (!rest_.empty()) {
      step();
      session_->check_invariants();
      hear();
    }
    session_->transport_lost("the end");
    hear();
    check(ended_, "a session ends once");
  }

 private:
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const std::uint8_t value = rest_.front();
    rest_ = rest_.subspan(1);
    return value;
  }
  ByteSpan piece(std::size_t most) {
    const ByteSpan out = rest_.first(std::min(most, rest_.size()));
    rest_ = rest_.subspan(out.size());
    return out;
  }
  static std::string hello() { return pack({{"role", "node"}, {"versions", {1, 1}}}); }
  static std::string raw(FrameType type, StreamId stream, std::uint16_t flags,
                         std::string_view payload) {
    return std::string(as_text(make_frame(type, stream, as_bytes(payload), flags).bytes()));
  }
  void feed(std::string_view text) {
    ByteSpan bytes = as_bytes(text);
    while (!bytes.empty()) {
      const MutableBytes direct = session_->direct_target();
      const std::size_t n = direct.empty() ? bytes.size() : std::min(direct.size(), bytes.size());
      if (direct.empty()) {
        session_->receive(now_, bytes);
      } else {
        std::memcpy(direct.data(), bytes.data(), n);
        session_->direct_received(now_, n);
      }
      bytes = bytes.subspan(n);
    }
  }
  // A frame with a right header: otherwise nothing gets past the magic number often enough.
  void peer_frame() {
    const auto type = static_cast<FrameType>(1 + byte() % 14);
    const StreamId stream = byte() % 16;
    const std::uint16_t flags = byte() % 5;
    feed(raw(type, stream, flags, as_text(piece(byte()))));
  }
  void peer_map() {
    const Map maps[] = {{{"id", byte() % 8}, {"verb", "v"}, {"args", Map::object()}},
                        {{"id", byte() % 8}, {"result", {{"x", 1}}}},
                        {{"id", byte() % 8}, {"error", {{"code", "denied"}}}},
                        {{"kind", "attach"}, {"args", {{"out", byte()}}}},
                        {{"code", "busy"}, {"message", "m"}, {"hint", "h"}}};
    constexpr FrameType kTypes[] = {FrameType::kHello,  FrameType::kRequest, FrameType::kResponse,
                                    FrameType::kNotice, FrameType::kOpen,    FrameType::kEvent,
                                    FrameType::kSignal, FrameType::kReset,   FrameType::kClose};
    const auto type = kTypes[byte() % std::size(kTypes)];
    feed(raw(type, byte() % 16, 0, pack(maps[byte() % std::size(maps)])));
  }
  void peer_data() {
    const StreamId stream = byte() % 16;
    const std::size_t size = std::size_t{1} << (byte() % 17);
    feed(raw(FrameType::kData, stream, byte() % 4, std::string(size, 'd')));
  }
  void peer_credit() {
    std::string payload(8, '\0');
    const std::uint64_t limit = kInitialWindow + (std::uint64_t{byte()} << (byte() % 56));
    store_be(reinterpret_cast<std::uint8_t*>(payload.data()), limit);
    feed(raw(FrameType::kCredit, byte() % 16, 0, payload));
  }
  void own_data() {
    const StreamId stream = byte() % 16;
    const std::uint64_t wanted = std::uint64_t{1} << (byte() % 17);
    const std::uint64_t size = std::min(session_->sendable(stream), wanted);
    const auto channel = static_cast<Channel>(byte() % 4);
    Frame frame = make_frame(FrameType::kData, 0, as_bytes(std::string(size, 'd')),
                             static_cast<std::uint16_t>(channel));
    if (byte() % 2 == 0 && size > 0) return session_->relay(stream, std::move(frame));
    session_->send_data(stream, channel, std::move(frame));
  }
  void take() {
    std::size_t taken = 0;
    const std::size_t most = std::size_t{1} << (byte() % 20);
    for (const Buffer& frame : session_->take_output(now_, most)) taken += frame.size();
    check(taken <= most + kMaxQueuedControl + 2 * (kMaxControl + kHeaderSize), "one flight");
  }
  void step() {
    switch (byte() % 20) {
      case 0:
        return feed(as_text(piece(byte())));
      case 1:
        return peer_frame();
      case 2:
        return peer_map();
      case 3:
        return peer_data();
      case 4:
        return peer_credit();
      case 5:
        return feed(raw(FrameType::kHello, 0, 0, hello()));
      case 6:
        return own_data();
      case 7:
        return take();
      case 8:
        return session_->send_event(byte() % 16, {{"t", "x"}});
      case 9:
        return session_->send_signal(byte() % 16, {{"t", "x"}});
      case 10:
        return session_->grant(byte() % 16, std::uint64_t{byte()} << (byte() % 56));
      case 11:
        return session_->end(byte() % 16);
      case 12:
        return session_->reset(byte() % 16, {Code::kBusy, "m", ""});
      case 13:
        return session_->respond(byte() % 8, Map{{"x", 1}});
      case 14:
        return session_->notice("n", Map::object());
      case 15:
        return static_cast<void>(session_->request("r", Map::object()));
      case 16:
        return static_cast<void>(session_->open("attach", Map::object()));
      case 17:
        return session_->tick(now_ += Millis(100) * byte());
      case 18:
        return feed(raw(FrameType::kPing, 0, 0, "12345678"));
      default:
        if (byte() == 7) session_->close({Code::kBusy, "m", "h"});
    }
  }
  void hear() {
    Event event;
    while (session_->next_event(event)) {
      check(!ended_, "nothing follows Closed");
      ended_ = std::holds_alternative<event::Closed>(event);
      if (const auto* said = std::get_if<event::Event>(&event))
        static_cast<void>(parse_map(said->frame.payload()));
    }
    check(ended_ == session_->closed(), "the end is told");
    const bool late = session_->wake_at() <= now_;
    if (late && !session_->closed()) {
      session_->tick(now_);
      check(session_->closed() || session_->wake_at() > now_, "a tick moves the next one");
      hear();
    }
  }

  ByteSpan rest_;
  BootTime now_{std::chrono::hours(1)};
  std::optional<Session> session_;
  bool ended_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Program(ByteSpan(data, size)).run();
  return 0;
}
