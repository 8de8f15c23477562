// One attach stream through three roles that crash, as pure machines: a reader that keeps offsets,
// a relay that keeps nothing, a node that keeps a spool and a stdin offset. Time, sockets and
// processes are random choices of one seeded generator. The shape is the product's (PROTOCOL.md,
// "Attach streams"); the roles here are the smallest that have it.
#pragma once

#include <doctest/doctest.h>

#include <list>
#include <map>
#include <memory>
#include <random>
#include <string>

#include "tests/unit/wire/harness.hpp"

namespace rexec::wire::sim {

// What the job prints and what the user types: any byte follows from its offset, so a byte that is
// lost, doubled or moved is seen at once.
inline char content(Channel channel, std::uint64_t at) {
  const std::uint64_t mixed = (at + 1) * 0x9E3779B97F4A7C15U + static_cast<std::uint64_t>(channel);
  return static_cast<char>(mixed >> 40);
}
inline std::string stretch(Channel channel, std::uint64_t from, std::uint64_t size) {
  std::string out(size, '\0');
  for (std::uint64_t i = 0; i < size; ++i) out[i] = content(channel, from + i);
  return out;
}

struct Scale {
  std::uint64_t output;    // bytes the job prints
  std::uint64_t input;     // bytes the user types
  std::uint64_t frame;     // largest DATA
  std::uint64_t buffered;  // largest number of bytes under way in one direction of a link
};

struct Counts {
  std::uint64_t cuts = 0, reader_crashes = 0, relay_crashes = 0, node_crashes = 0;
  std::uint64_t attaches = 0, bytes_replayed = 0, stdin_doubled = 0, steps = 0;
  std::uint64_t relay_peak = 0;  // bytes queued in the relay for one stream
};

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}
  std::uint64_t below(std::uint64_t n) { return n == 0 ? 0 : random_() % n; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }

 private:
  std::mt19937_64 random_;
};

// One process's side of a connection.
struct End {
  explicit End(Side side) : session(test::options(side)) {}
  Session session;
  std::string inbox;  // under way to this end
  bool cut = false;   // nothing follows what is in the inbox
  bool over = false;  // its process is gone, or has heard of the end
};

struct Link {
  End dialler{Side::kDialler};
  End acceptor{Side::kAcceptor};
  End& other(const End& end) { return &end == &dialler ? acceptor : dialler; }
  bool done() const { return dialler.over && acceptor.over; }
};

// --- the node: the shim's durable part, and the net process that crashes
class Node {
 public:
  Node(const Scale& scale, Counts& counts) : scale_(scale), counts_(counts) {}
  End* end = nullptr;  // to the relay

  void work(Dice& dice) {
    spool_ += std::min(dice.below(3 * scale_.frame), scale_.output - spool_);
    // The job reads its stdin when it likes: the shim has room for what it has read and 4 frames.
    if (dice.one_in(8)) job_read_ += dice.below(stdin_in_ - job_read_ + 1);
    for (auto& [stream, serving] : servings_) pass_stdin(stream, serving);
    for (auto& [stream, serving] : servings_) pump(stream, serving);
  }
  bool stdin_complete() const { return stdin_in_ == scale_.input && stdin_ended_; }

  void hear(const Event& event) {
    if (const auto* opened = std::get_if<event::Opened>(&event)) {
      attach(opened->stream, opened->args);
    } else if (const auto* data = std::get_if<event::Data>(&event)) {
      const auto at = servings_.find(data->stream);
      if (at != servings_.end()) at->second.stdin_waiting += as_text(data->frame.payload());
    } else if (const auto* ended = std::get_if<event::Ended>(&event)) {
      const auto at = servings_.find(ended->stream);
      if (at != servings_.end()) at->second.stdin_ended = true;
    } else if (const auto* reset = std::get_if<event::Reset>(&event)) {
      servings_.erase(reset->stream);
    } else if (std::holds_alternative<event::Closed>(event)) {
      forget_link();
    }
  }
  // The net process is killed, or its link is gone: every stream with what it held.
  void forget_link() {
    servings_.clear();
    end = nullptr;
  }

 private:
  struct Serving {
    std::uint64_t output_at = 0;
    std::uint64_t stdin_base = 0;  // stdin offset of the stream's first byte
    std::uint64_t stdin_passed = 0;
    std::string stdin_waiting;
    bool stdin_ended = false;
    bool finished = false;
  };
  void attach(StreamId stream, const Map& args) {
    Serving serving;
    serving.output_at = u64_or(args, "out", 0);
    serving.stdin_base = stdin_in_;
    REQUIRE(serving.output_at <= spool_);
    servings_[stream] = serving;
    end->session.send_event(
        stream, {{"t", "attached"}, {"out", serving.output_at}, {"in", serving.stdin_base}});
  }
  // Bytes go to the shim under their offsets; what it has already is skipped there.
  void pass_stdin(StreamId stream, Serving& serving) {
    const std::uint64_t offset = serving.stdin_base + serving.stdin_passed;
    REQUIRE(offset <= stdin_in_);
    const std::uint64_t room = job_read_ + 4 * scale_.frame - stdin_in_;
    const std::uint64_t have = stdin_in_ - offset;
    const std::uint64_t size = std::min<std::uint64_t>(serving.stdin_waiting.size(), have + room);
    const std::string fresh = serving.stdin_waiting.substr(std::min(have, size), size);
    serving.stdin_waiting.erase(0, size);
    write_to_job(fresh.substr(0, size - std::min(have, size)));
    counts_.stdin_doubled += std::min(size, have);
    serving.stdin_passed += size;
    end->session.grant(stream, stdin_in_ - serving.stdin_base + kInitialWindow);
    if (serving.stdin_ended && serving.stdin_waiting.empty()) {
      REQUIRE(serving.stdin_base + serving.stdin_passed == scale_.input);
      stdin_ended_ = true;
    }
  }
  void write_to_job(const std::string& bytes) {
    const bool next_as_typed = bytes == stretch(Channel::kIn, stdin_in_, bytes.size());
    REQUIRE(next_as_typed);
    stdin_in_ += bytes.size();
  }
  void pump(StreamId stream, Serving& serving) {
    if (serving.finished) return;
    Session& session = end->session;
    while (session.queued(stream) < 2 * scale_.frame) {
      const std::uint64_t size =
          std::min({spool_ - serving.output_at, session.sendable(stream), scale_.frame});
      if (size == 0) break;
      session.send_data(stream, Channel::kOut,
                        test::data_frame(stretch(Channel::kOut, serving.output_at, size)));
      serving.output_at += size;
    }
    // The job ends when it has printed all and read all.
    if (serving.output_at < scale_.output || !stdin_complete() || job_read_ < stdin_in_) return;
    session.send_event(stream, {{"t", "end"}, {"bytes", scale_.output}});
    session.end(stream);
    serving.finished = true;
  }

  Scale scale_;
  Counts& counts_;
  std::uint64_t spool_ = 0;     // durable: bytes printed so far
  std::uint64_t stdin_in_ = 0;  // durable: bytes the shim has
  std::uint64_t job_read_ = 0;
  bool stdin_ended_ = false;
  std::map<StreamId, Serving> servings_;
};

// --- the relay: links streams of two sessions, has no state of its own
class Relay {
 public:
  explicit Relay(Counts& counts) : counts_(counts) {}

  // `node`: the link on which a node would be reached now, or nothing.
  void hear(End& from, const Event& event, End* node) {
    if (const auto* opened = std::get_if<event::Opened>(&event)) return open(from, *opened, node);
    if (std::holds_alternative<event::Closed>(event)) return drop(from);
    if (const auto* ended = std::get_if<event::Ended>(&event)) {
      if (const Place* to = find(from, ended->stream)) to->end->session.end(to->stream);
    } else if (const auto* reset = std::get_if<event::Reset>(&event)) {
      if (const Place* to = find(from, reset->stream)) {
        to->end->session.reset(to->stream, reset->error);
        unlink({&from, reset->stream});
      }
    } else if (const auto* credit = std::get_if<event::Credit>(&event)) {
      if (const Place* to = find(from, credit->stream))
        to->end->session.grant(to->stream, credit->limit);
    }
  }
  void relay(End& from, StreamId stream, Frame frame) {
    if (const Place* to = find(from, stream)) to->end->session.relay(to->stream, std::move(frame));
  }
  void drop(End& gone) {
    while (true) {
      const auto at = std::find_if(links_.begin(), links_.end(),
                                   [&](const auto& link) { return link.first.end == &gone; });
      if (at == links_.end()) return;
      const Place to = at->second;
      unlink(at->first);
      to.end->session.reset(to.stream, {Code::kLinkLost, "the other side is gone", ""});
    }
  }
  void crash() { links_.clear(); }
  // Never more than one window a stream and direction, whoever stalls.
  void check_memory() {
    for (const auto& [place, other] : links_) {
      const std::uint64_t queued = place.end->session.queued(place.stream);
      counts_.relay_peak = std::max(counts_.relay_peak, queued);
    }
  }

 private:
  struct Place {
    End* end;
    StreamId stream;
    auto operator<=>(const Place&) const = default;
  };
  const Place* find(End& from, StreamId stream) const {
    const auto at = links_.find({&from, stream});
    return at == links_.end() ? nullptr : &at->second;
  }
  void unlink(Place place) {
    const auto at = links_.find(place);
    const Place other = at->second;
    links_.erase(at);
    links_.erase(other);
  }
  void open(End& from, const event::Opened& opened, End* node) {
    if (node == nullptr)
      return from.session.reset(opened.stream, {Code::kNodeOffline, "the node is offline", ""});
    const Place there{node, node->session.open("attach", opened.args)};
    links_[{&from, opened.stream}] = there;
    links_[there] = {&from, opened.stream};
  }

  Counts& counts_;
  std::map<Place, Place> links_;
};

// --- the reader: its offsets survive, everything about a stream does not
class Reader {
 public:
  Reader(const Scale& scale, Counts& counts) : scale_(scale), counts_(counts) {}
  End* end = nullptr;

  bool finished() const { return finished_ && written_ == scale_.output; }
  void work(Dice& dice) {
    if (dice.one_in(200)) stalled_ = !stalled_;
    if (!stalled_) written_ += std::min(received_ - written_, 1 + dice.below(4 * scale_.frame));
    typed_ += std::min(dice.below(2 * scale_.frame), scale_.input - typed_);
    if (end == nullptr || !end->session.greeted() || finished_) return;
    if (stream_ == 0) return attach();
    end->session.grant(stream_, written_ - stream_base_ + kInitialWindow);
    pump();
  }
  void unstall() { stalled_ = false; }

  void hear(const Event& event) {
    if (const auto* data = std::get_if<event::Data>(&event)) {
      if (data->stream == stream_) take(data->frame.payload());
    } else if (const auto* said = std::get_if<event::Event>(&event)) {
      if (said->stream == stream_) take_event(*parse_map(said->frame.payload()));
    } else if (const auto* reset = std::get_if<event::Reset>(&event)) {
      if (reset->stream == stream_) stream_ = 0;
    } else if (const auto* ended = std::get_if<event::Ended>(&event)) {
      if (ended->stream == stream_) REQUIRE(finished_);
    } else if (std::holds_alternative<event::Closed>(event)) {
      forget_link();
    }
  }
  void forget_link() {
    stream_ = 0;
    end = nullptr;
  }
  // A new process: what was received and not yet written is asked for again.
  void crash() {
    forget_link();
    counts_.bytes_replayed += received_ - written_;
    received_ = written_;
    finished_ = false;
  }

 private:
  void attach() {
    stream_ = end->session.open("attach", {{"job", "j-1"}, {"out", received_}});
    stream_base_ = received_;
    stdin_ready_ = false;
    stdin_ended_ = false;
    ++counts_.attaches;
  }
  void take(ByteSpan bytes) {
    const bool in_place = as_text(bytes) == stretch(Channel::kOut, received_, bytes.size());
    REQUIRE(in_place);
    received_ += bytes.size();
  }
  void take_event(const Map& map) {
    if (text_or(map, "t") == "end") {
      REQUIRE(u64_or(map, "bytes", 0) == received_);
      finished_ = true;
      return;
    }
    REQUIRE(u64_or(map, "out", ~std::uint64_t{0}) == received_);
    stdin_sent_ = u64_or(map, "in", 0);
    REQUIRE(stdin_sent_ <= typed_);
    stdin_ready_ = true;
  }
  void pump() {
    if (!stdin_ready_ || stdin_ended_) return;
    const std::uint64_t size =
        std::min({typed_ - stdin_sent_, end->session.sendable(stream_), scale_.frame});
    if (size > 0)
      end->session.send_data(stream_, Channel::kIn,
                             test::data_frame(stretch(Channel::kIn, stdin_sent_, size)));
    stdin_sent_ += size;
    if (stdin_sent_ < scale_.input) return;
    end->session.end(stream_);
    stdin_ended_ = true;
  }

  Scale scale_;
  Counts& counts_;
  std::uint64_t written_ = 0;  // durable: the user has it
  std::uint64_t received_ = 0;
  std::uint64_t typed_ = 0;  // durable: the source can be asked again
  std::uint64_t stdin_sent_ = 0;
  std::uint64_t stream_base_ = 0;
  StreamId stream_ = 0;
  bool stdin_ready_ = false;
  bool stdin_ended_ = false;
  bool finished_ = false;
  bool stalled_ = false;
};

}  // namespace rexec::wire::sim
