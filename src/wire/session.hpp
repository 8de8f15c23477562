// The session machine of rexec/1: both roles, no socket, no clock, no thread. The shell
// (net/session_driver) feeds it bytes and `now`, hands its events to a handler, and writes what
// take_output() gives: control frames first, then the streams' data in turn, so that a full stream
// never delays an INT. What a verb or a stream kind means is the handler's. Source: PROTOCOL.md.
// Invariant: queued data of a stream never exceeds the peer's credit.
//
// The gate: an acceptor's handler is told nothing but the peer's HELLO until it has accepted that
// by its own (send_hello), and nothing that came before a close() is told after it, be it in the
// same bytes. A HELLO that is neither accepted nor refused at once is refused.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "src/base/clock.hpp"
#include "src/wire/frame.hpp"
#include "src/wire/maps.hpp"

namespace rexec::wire {

inline constexpr std::uint64_t kInitialWindow = 1 << 20;
// What somebody watches is kept closer to its reader than kInitialWindow: its readers' windows
// together, and the least one has among many.
inline constexpr std::uint64_t kWatchedWindow = 512 << 10;
inline constexpr std::uint64_t kLeastWindow = 64 << 10;
constexpr std::uint64_t share_of_window(std::uint64_t together, std::size_t readers) {
  const std::uint64_t share = together / (readers == 0 ? 1 : readers);
  return share < kLeastWindow ? kLeastWindow : share > kInitialWindow ? kInitialWindow : share;
}
inline constexpr Millis kPingEvery{5'000};
inline constexpr Millis kSuspectAfter{15'000};
inline constexpr Millis kHelloDeadline{5'000};
// Who has shown a certificate may keep a connection ready before its HELLO, for longer than a
// client's keeper keeps one (ten minutes), and not for ever.
inline constexpr Millis kReadyDeadline{15 * 60'000};
// Control frames that the peer causes (PONG, a refused OPEN) and does not take: who pings and never
// reads is cut off here. What this side sends of its own accord never ends a session.
inline constexpr std::size_t kMaxQueuedControl = 1 << 20;
// Answers that he asked for and does not take; before that no more of his requests are read.
inline constexpr std::size_t kMaxQueuedAnswers = 16 << 20;
// And a stranger, who is owed a HELLO and one answer, is cut off here.
inline constexpr std::size_t kMaxQueuedForStranger = 16 << 10;
// Requests that wait for their answer: a peer may have so many, and ends the session at one more;
// this side keeps the next ones back for as long as there are kRequestsUnderWay.
inline constexpr std::size_t kMaxUnanswered = 1024;
inline constexpr std::size_t kRequestsUnderWay = 256;
// EVENTs are not charged to the credit: a reader that stalls may leave this many behind.
inline constexpr std::size_t kMaxQueuedEvents = 4096;
inline constexpr std::size_t kMaxQueuedEventBytes = 1 << 20;
// A window of tiny DATA frames would take many times its size in memory: small neighbours of one
// channel are joined while they wait, and of what cannot be joined this many may wait.
inline constexpr std::size_t kMaxQueuedFrames = 1 << 16;
inline constexpr std::size_t kJoined = 16 << 10;

using StreamId = std::uint32_t;
using RequestId = std::uint64_t;

struct VersionRange {
  std::uint16_t lowest = 1;
  std::uint16_t highest = 1;
};
// The smaller of the highests; kVersion naming both ranges when it lies below either lowest.
Result<std::uint16_t> negotiate(VersionRange ours, VersionRange theirs);

// What came in, in order. Streams' frames keep their bytes, so that a relay passes them on unread.
// The payload of Event and Signal is a map that parse_map checks when it is read. After Reset its
// stream is gone; after Closed nothing follows.
namespace event {
struct Hello {
  Map map;
};
struct Request {
  RequestId id;
  std::string verb;
  Map args;
};
struct Response {
  RequestId id;
  Result<Map> result;
};
struct Notice {
  std::string verb;
  Map args;
};
struct Opened {
  StreamId stream;
  std::string kind;
  Map args;
};
struct Data {
  StreamId stream;
  Channel channel;
  Frame frame;
};
struct Event {
  StreamId stream;
  Frame frame;
};
struct Signal {
  StreamId stream;
  Frame frame;
};
struct Credit {
  StreamId stream;
  std::uint64_t limit;
};
struct Ended {  // the peer's direction is finished
  StreamId stream;
};
struct Reset {
  StreamId stream;
  Error error;
};
enum class By { kUs, kPeer };  // kPeer: also a connection that broke, or was silent
struct Closed {
  Error error;
  By by = By::kUs;
};
}  // namespace event
using Event = std::variant<event::Hello, event::Request, event::Response, event::Notice,
                           event::Opened, event::Data, event::Event, event::Signal, event::Credit,
                           event::Ended, event::Reset, event::Closed>;

enum class Side { kDialler, kAcceptor };
enum class Trust { kStranger, kAuthenticated };

struct SessionOptions {
  Side side = Side::kDialler;
  // A stranger keeps the small frame limit and may open no stream.
  Trust trust = Trust::kAuthenticated;
  VersionRange versions;
  std::uint32_t max_streams = 256;  // that the peer may have open
  BootTime now;
};

class Session {
 public:
  explicit Session(const SessionOptions& options);

  // --- input
  void receive(BootTime now, ByteSpan bytes);
  // See FrameParser::direct_target.
  MutableBytes direct_target() { return closed_ ? MutableBytes{} : parser_.direct_target(); }
  void direct_received(BootTime now, std::size_t n);
  void tick(BootTime now);
  // The transport is gone, with or without a CLOSE before it.
  void transport_lost(std::string_view why);
  bool next_event(Event& out);

  // --- output
  // Adds `versions`. An acceptor's handler accepts the peer by it.
  void send_hello(Map hello);
  // A message larger than a frame may be is refused here, not by the peer: a request answers itself
  // with kLimit, an OPEN or EVENT resets its stream with it. Requests keep their order; those
  // beyond kRequestsUnderWay go when answers came.
  RequestId request(std::string_view verb, Map args);
  void respond(RequestId id, const Result<Map>& result);
  void notice(std::string_view verb, Map args);
  StreamId open(std::string_view kind, Map args);
  // The caller stays within sendable(). The frame's type, stream and flags are set here.
  void send_data(StreamId stream, Channel channel, Frame frame);
  void send_event(StreamId stream, const Map& map);
  void send_signal(StreamId stream, const Map& map);
  // Passes on a DATA, EVENT or SIGNAL frame that came from another session.
  void relay(StreamId stream, Frame frame);
  // What is relayed may wait here for its reader up to so many bytes, whatever the credit.
  void limit_window(StreamId stream, std::uint64_t bytes);
  // Allows DATA up to this many bytes since OPEN, but never more than a window beyond what has come
  // so far: what is left of the wish is granted as more comes.
  void grant(StreamId stream, std::uint64_t absolute_limit);
  void end(StreamId stream);
  void reset(StreamId stream, const Error& error);
  // A PING at once: its PONG, which is no event, moves last_received().
  void ping(BootTime now);
  // Queues CLOSE; no event follows but Closed, not even one that has come already.
  void close(const Error& error);

  // Bytes of DATA that may still be given to send_data: credit less what was sent and queued. 0 for
  // an unknown stream.
  std::uint64_t sendable(StreamId stream) const;
  // Bytes queued and not yet taken.
  std::size_t queued(StreamId stream) const;
  bool has_stream(StreamId stream) const { return streams_.contains(stream); }
  std::size_t stream_count() const { return streams_.size(); }

  // Frames for one flight of about max_bytes, in the order to be written. All of the control lane
  // goes first, whatever its size. Empty although has_output() only when what waited was reset.
  std::vector<Buffer> take_output(BootTime now, std::size_t max_bytes);
  bool has_output() const { return !control_.empty() || !ready_.empty(); }
  BootTime wake_at() const;
  BootTime last_received() const { return last_received_; }
  bool closed() const { return closed_; }
  bool greeted() const { return greeted_; }
  // The peer leaves so much unread that nothing more of his is to be read before he took some.
  bool is_backlogged() const { return control_bytes_ > kMaxQueuedControl / 2; }
  // Something was written while nothing was read because of that: he is there.
  void written_in_backlog(BootTime now) { last_received_ = now; }
  // Streams, requests and reports of the peer may be acted on: it was let in, nothing has ended.
  bool serves() const { return gate_ == Gate::kOpen && !closed_; }
  // What must hold between any two calls; for tests and fuzzers, linear in what is queued.
  void check_invariants() const;

 private:
  struct Queued {
    Buffer room;
    std::size_t used = 0;  // the frame; behind it there may be room for a neighbour
  };
  struct Stream {
    std::uint64_t sent = 0;   // DATA bytes given to send_data
    std::uint64_t taken = 0;  // of these, handed out by take_output
    std::uint64_t send_limit = kInitialWindow;
    std::uint64_t relay_window = kInitialWindow;
    std::uint64_t received = 0;
    std::uint64_t receive_limit = kInitialWindow;
    std::uint64_t receive_wish = kInitialWindow;  // what grant() was last asked for
    std::deque<Queued> queue;
    std::size_t queued_bytes = 0;
    std::size_t queued_events = 0;
    std::size_t queued_event_bytes = 0;
    bool local_ended = false;
    bool end_taken = false;
    bool remote_ended = false;
    bool in_ready = false;
    bool owes_credit = false;  // it is granted when the control lane has room
  };
  // Who is the reason for a control frame, and so whom it costs the session when it piles up.
  enum class Cause { kOwn, kPeer, kAnswer };

  // kAsked: the handler was shown the peer's HELLO and has not answered it.
  enum class Gate { kShut, kAsked, kOpen };

  void handle(Frame frame);
  void handle_hello(const Map& map);
  void handle_request(Map map);
  void handle_response(Map map);
  void handle_open(StreamId stream, Map map);
  void handle_data(Frame frame);
  void handle_stream_map(Frame frame);
  void handle_credit(const Frame& frame);
  void handle_end(StreamId stream);
  void handle_reset(StreamId stream, const Map& map);
  bool with_map(const Frame& frame, Map& out);
  bool peer_may_open(StreamId stream) const;
  bool stale(StreamId stream) const;
  Stream* find(StreamId stream);
  void violate(Code code, std::string why);
  void end_with(const Error& error);
  BootTime hello_by() const;
  void drop_events();
  void emit(Event event) { events_.push_back(std::move(event)); }
  void finish(Error why, event::By by);
  void abort(StreamId stream, const Error& error);
  // False when the map is larger than a frame may be; nothing was queued then.
  bool send_control(FrameType type, StreamId stream, const Map& map, Cause cause = Cause::kOwn);
  bool count_event(Stream& stream, std::size_t bytes);
  void queue_control(Frame frame, Cause cause);
  // The peer leaves more unread than it may.
  void refuse_backlog();
  void send_requests();
  void send_owed_credits();
  static std::uint64_t grantable(const Stream& stream);
  void send_credit(StreamId id, Stream& stream);
  void enqueue(StreamId id, Stream& stream, Buffer bytes);
  static bool join(Queued& last, ByteSpan data);
  void note_taken(Stream& stream, const Buffer& bytes);
  void drop_if_finished(StreamId id);

  SessionOptions options_;
  FrameParser parser_;
  std::deque<Event> events_;
  std::deque<Buffer> control_;
  std::size_t control_bytes_ = 0;
  std::size_t caused_bytes_ = 0;  // of these, by the peer
  std::size_t answer_bytes_ = 0;
  std::deque<StreamId> ready_;  // streams with queued frames, next first
  std::unordered_map<StreamId, Stream> streams_;
  std::set<RequestId> unanswered_;                    // the peer's requests that we owe an answer
  std::set<RequestId> asked_;                         // ours that he owes one
  std::deque<std::pair<RequestId, Frame>> requests_;  // ours that were not sent yet
  std::vector<StreamId> owed_credits_;
  std::size_t opened_by_peer_ = 0;
  StreamId next_stream_;
  StreamId highest_peer_stream_ = 0;
  RequestId next_request_ = 1;
  BootTime started_;
  BootTime last_received_;
  BootTime last_sent_;    // or last considered for a PING
  bool greeted_ = false;  // the peer's HELLO has come and is of a version in common
  bool said_hello_ = false;
  Gate gate_ = Gate::kShut;
  bool closed_ = false;
};

}  // namespace rexec::wire
