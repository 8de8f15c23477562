// A session whose bytes were changed on the way. Without TLS around it a changed byte of data is
// just other data; what the machine itself promises is that one flipped bit can forge no more than
// the one event it is in: all before it arrives as sent, and behind it comes only what was sent.
// That TLS lets none of it through is tests/unit/net/tls_flip_test.cpp.
#include <doctest/doctest.h>

#include "tests/unit/wire/harness.hpp"

using namespace rexec;
using namespace rexec::wire;
using namespace rexec::wire::test;

namespace {

std::vector<std::string> recorded_session() {
  return {
      raw_hello(),
      raw_map(FrameType::kRequest, 0, Map{{"id", 1}, {"verb", "node.ls"}, {"args", {{"a", 1}}}}),
      raw_map(FrameType::kOpen, 1, Map{{"kind", "submit"}, {"args", {{"spec_size", 12}}}}),
      raw(FrameType::kData, 1, "abcdefghijkl", 3),
      raw(FrameType::kEnd, 1, ""),
      raw_map(FrameType::kOpen, 3, Map{{"kind", "attach"}, {"args", {{"job", "j-1"}}}}),
      raw(FrameType::kPing, 0, "12345678"),
      raw(FrameType::kData, 3, "typed by somebody", 0),
      raw_map(FrameType::kSignal, 3, Map{{"t", "signal"}, {"n", 2}}),
      raw_map(FrameType::kEvent, 3, Map{{"t", "gap"}}),
      raw_credit(2, 10 + kInitialWindow),
      raw_map(FrameType::kNotice, 0, Map{{"verb", "job.lost"}}),
      raw_map(FrameType::kReset, 3, Map{{"code", "busy"}, {"message", "m"}, {"hint", ""}}),
      raw_map(FrameType::kClose, 0, Map{{"code", "link_lost"}, {"message", "bye"}, {"hint", ""}}),
  };
}

std::string joined(const std::vector<std::string>& frames) {
  std::string out;
  for (const auto& frame : frames) out += frame;
  return out;
}

// The acceptor's events; before, it has opened stream 2 and sent 10 bytes on it.
Trace events_of(std::string_view bytes) {
  Session session(options(Side::kAcceptor));
  session.send_hello({{"role", "controller"}});
  const StreamId stream = session.open("attach", Map::object());
  session.send_data(stream, Channel::kOut, data_frame("0123456789"));
  take(session);
  feed(session, bytes);
  return trace(session);
}

// The events of the frames before `frame`: all of `whole` but what cutting the session there loses.
std::size_t events_before(const std::vector<std::string>& frames, std::size_t frame) {
  return events_of(joined({frames.begin(), frames.begin() + static_cast<long>(frame)})).size();
}

// All of `got` was sent, in that order, but for the end of the session and the event at `place`.
bool forged_nothing(Trace got, const Trace& whole, std::size_t place) {
  if (!got.empty() && got.back().starts_with("closed ")) got.pop_back();
  if (place < got.size()) got.erase(got.begin() + static_cast<long>(place));
  auto sent = whole.begin();
  for (const std::string& event : got) {
    sent = std::find(sent, whole.end(), event);
    if (sent == whole.end()) return false;
    ++sent;
  }
  return true;
}

}  // namespace

TEST_CASE(
    "session: a flipped bit changes at most the event it is in, and brings no other") {  // FAULTS
                                                                                         // W16
  const auto frames = recorded_session();
  const Trace whole = events_of(joined(frames));
  REQUIRE(whole.size() == 13);
  REQUIRE(whole.back() == "closed link_lost");
  std::size_t ended = 0, went_on = 0;
  for (std::size_t frame = 0; frame < frames.size(); ++frame) {
    const std::size_t place = events_before(frames, frame);
    for (std::size_t bit = 0; bit < frames[frame].size() * 8; ++bit) {
      auto changed = frames;
      changed[frame][bit / 8] = static_cast<char>(changed[frame][bit / 8] ^ (1 << (bit % 8)));
      const Trace got = events_of(joined(changed));
      INFO("frame " << frame << " bit " << bit);
      REQUIRE(got.size() >= place);
      const bool same_before =
          std::equal(whole.begin(), whole.begin() + static_cast<long>(place), got.begin());
      CHECK(same_before);
      CHECK(forged_nothing(got, whole, place));
      const bool cut_off = got.size() <= place + 1 && place + 1 < whole.size();
      ++(cut_off ? ended : went_on);
    }
  }
  MESSAGE(ended << " flips ended or stopped the session there, after " << went_on
                << " it went on without that frame or with a changed one");
}
