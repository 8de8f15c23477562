// The sending half of the session machine: two lanes, credit, heartbeats.
#include <algorithm>
#include <cstring>
#include <utility>

#include "src/base/check.hpp"
#include "src/wire/session.hpp"

namespace rexec::wire {
namespace {

Error too_large() {
  return {Code::kLimit, "the message is larger than 256 KiB", "ask for less at once"};
}

}  // namespace

Session::Session(const SessionOptions& options)
    : options_(options),
      parser_(kMaxControlBeforeLogin),
      next_stream_(options.side == Side::kDialler ? 1 : 2),
      started_(options.now),
      last_received_(options.now),
      last_sent_(options.now) {}

void Session::queue_control(Frame frame, Cause cause) {
  if (closed_) return;
  const bool is_known = options_.trust == Trust::kAuthenticated;
  if (!is_known && control_bytes_ > kMaxQueuedForStranger) return refuse_backlog();
  Buffer bytes = std::move(frame).release();
  control_bytes_ += bytes.size();
  if (cause == Cause::kPeer) caused_bytes_ += bytes.size();
  if (cause == Cause::kAnswer) answer_bytes_ += bytes.size();
  control_.push_back(std::move(bytes));
  if (caused_bytes_ <= kMaxQueuedControl && answer_bytes_ <= kMaxQueuedAnswers) return;
  refuse_backlog();
}

void Session::refuse_backlog() {
  control_.clear();
  control_bytes_ = caused_bytes_ = answer_bytes_ = 0;
  violate(Code::kLimit, "the peer does not read its control frames");
}

bool Session::send_control(FrameType type, StreamId stream, const Map& map, Cause cause) {
  const std::string packed = pack(map);
  if (packed.size() > kMaxControl) return false;
  queue_control(make_frame(type, stream, as_bytes(packed)), cause);
  return true;
}

void Session::send_hello(Map hello) {
  said_hello_ = true;
  if (gate_ == Gate::kAsked) gate_ = Gate::kOpen;
  hello["versions"] = {options_.versions.lowest, options_.versions.highest};
  send_control(FrameType::kHello, 0, hello);
}

RequestId Session::request(std::string_view verb, Map args) {
  const RequestId id = next_request_++;
  const std::string packed = pack({{"id", id}, {"verb", verb}, {"args", std::move(args)}});
  if (packed.size() > kMaxControl) {
    emit(event::Response{id, std::unexpected(too_large())});
  } else if (!closed_) {
    requests_.emplace_back(id, make_frame(FrameType::kRequest, 0, as_bytes(packed)));
    send_requests();
  }
  return id;
}

void Session::send_requests() {
  while (!requests_.empty() && asked_.size() < kRequestsUnderWay) {
    asked_.insert(requests_.front().first);
    Frame frame = std::move(requests_.front().second);
    requests_.pop_front();
    queue_control(std::move(frame), Cause::kOwn);
  }
}

namespace {

// {id, NAME: map}, as pack() would write it, without a copy of a map that may have thousands of
// rows.
std::string pack_answer(RequestId id, const char* name, const Map& map) {
  constexpr char kTwoKeys = '\x82';
  std::string packed = pack(Map{{"id", id}});
  packed.front() = kTwoKeys;
  packed += pack(Map(name), 1);
  packed += pack(map, 1);
  return packed;
}

}  // namespace

void Session::respond(RequestId id, const Result<Map>& result) {
  if (unanswered_.erase(id) == 0) return;
  std::string packed = result ? pack_answer(id, "result", *result)
                              : pack_answer(id, "error", error_to_map(result.error()));
  if (packed.size() > kMaxControl) {
    const Error error{Code::kLimit, "the answer is larger than a message may be",
                      "ask for less, for instance with --limit"};
    packed = pack({{"id", id}, {"error", error_to_map(error)}});
  }
  queue_control(make_frame(FrameType::kResponse, 0, as_bytes(packed)), Cause::kAnswer);
}

void Session::notice(std::string_view verb, Map args) {
  send_control(FrameType::kNotice, 0, {{"verb", verb}, {"args", std::move(args)}});
}

StreamId Session::open(std::string_view kind, Map args) {
  const StreamId id = next_stream_;
  next_stream_ += 2;
  if (closed_) return id;
  streams_[id];
  if (!send_control(FrameType::kOpen, id, {{"kind", kind}, {"args", std::move(args)}})) {
    streams_.erase(id);
    emit(event::Reset{id, too_large()});
  }
  return id;
}

// Appends the payload of a small DATA frame to the one that waits before it; false when it is not
// small, or they do not belong together. Room doubles, so that many bytes cost as many copies.
bool Session::join(Queued& last, ByteSpan data) {
  const ByteSpan payload = data.subspan(kHeaderSize);
  const std::size_t size = last.used + payload.size();
  std::uint8_t* header = last.room.data();
  const auto same = [&](std::size_t at) {
    return std::memcmp(header + at, data.data() + at, 2) == 0;
  };
  const auto type = static_cast<FrameType>(load_be<std::uint16_t>(header + 4));
  const bool together = type == FrameType::kData && same(4) && same(14);
  if (!together || payload.size() > kJoined / 16 || size > kJoined) return false;
  if (size > last.room.size()) {
    Buffer larger(std::min(2 * size, kJoined));
    std::memcpy(larger.data(), last.room.data(), last.used);
    last.room = std::move(larger);
  }
  std::memcpy(last.room.data() + last.used, payload.data(), payload.size());
  last.used = size;
  store_be(last.room.data() + 6, static_cast<std::uint32_t>(size - kHeaderSize));
  return true;
}

void Session::enqueue(StreamId id, Stream& stream, Buffer bytes) {
  const std::size_t size = bytes.size();
  if (!stream.queue.empty() && join(stream.queue.back(), bytes)) {
    stream.queued_bytes += size - kHeaderSize;
    return;
  }
  stream.queued_bytes += size;
  stream.queue.push_back({std::move(bytes), size});
  if (!stream.in_ready) {
    stream.in_ready = true;
    ready_.push_back(id);
  }
}

void Session::send_data(StreamId id, Channel channel, Frame frame) {
  const std::size_t size = frame.payload().size();
  if (size == 0) return;
  auto at = streams_.find(id);
  if (closed_ || at == streams_.end() || at->second.local_ended) return;
  check(size <= kMaxData, "a DATA frame of at most 64 KiB");
  check(size <= sendable(id), "data within the credit");
  at->second.sent += size;
  Buffer bytes = std::move(frame).release();
  enqueue(id, at->second,
          Frame::adopt(FrameType::kData, id, static_cast<std::uint16_t>(channel), std::move(bytes))
              .release());
}

void Session::send_event(StreamId id, const Map& map) {
  const std::string packed = pack(map);
  if (packed.size() > kMaxControl) return abort(id, too_large());
  relay(id, make_frame(FrameType::kEvent, id, as_bytes(packed)));
}

bool Session::count_event(Stream& stream, std::size_t bytes) {
  ++stream.queued_events;
  stream.queued_event_bytes += bytes;
  return stream.queued_events <= kMaxQueuedEvents &&
         stream.queued_event_bytes <= kMaxQueuedEventBytes;
}

void Session::send_signal(StreamId id, const Map& map) {
  if (streams_.contains(id)) send_control(FrameType::kSignal, id, map);
}

void Session::relay(StreamId id, Frame frame) {
  auto at = streams_.find(id);
  if (closed_ || at == streams_.end()) return;
  frame.set_stream(id);
  Stream& stream = at->second;
  if (frame.type() == FrameType::kSignal) {
    if (!is_backlogged()) return queue_control(std::move(frame), Cause::kOwn);
    return abort(id, {Code::kLimit, "the other side does not take its signals", {}});
  }
  if (stream.local_ended) return;
  if (frame.type() == FrameType::kData) {
    const std::size_t size = frame.payload().size();
    if (size > sendable(id) || stream.sent + size > stream.taken + stream.relay_window)
      return abort(id, {Code::kProtocol, "more data than the reader asked for", {}});
    if (stream.queue.size() >= kMaxQueuedFrames)
      return abort(id, {Code::kLimit, "the reader leaves too many small pieces behind", {}});
    stream.sent += size;
  } else if (!count_event(stream, frame.bytes().size())) {
    return abort(id, {Code::kLimit, "the reader does not take its events", {}});
  }
  enqueue(id, stream, std::move(frame).release());
}

void Session::limit_window(StreamId id, std::uint64_t bytes) {
  const auto at = streams_.find(id);
  if (at != streams_.end()) at->second.relay_window = bytes;
}

void Session::grant(StreamId id, std::uint64_t absolute_limit) {
  const auto at = streams_.find(id);
  if (closed_ || at == streams_.end() || absolute_limit <= at->second.receive_wish) return;
  at->second.receive_wish = absolute_limit;
  send_credit(id, at->second);
}

std::uint64_t Session::grantable(const Stream& stream) {
  return std::min(stream.receive_wish, stream.received + kInitialWindow);
}

void Session::send_credit(StreamId id, Stream& stream) {
  const std::uint64_t limit = grantable(stream);
  if (limit <= stream.receive_limit) return;
  if (is_backlogged()) {  // one frame does for many, later
    if (!std::exchange(stream.owes_credit, true)) owed_credits_.push_back(id);
    return;
  }
  stream.receive_limit = limit;
  Frame frame(FrameType::kCredit, id, 0, 8);
  store_be(frame.payload_room().data(), limit);
  queue_control(std::move(frame), Cause::kOwn);
}

void Session::send_owed_credits() {
  for (const StreamId id : std::exchange(owed_credits_, {})) {
    const auto at = streams_.find(id);
    if (at == streams_.end()) continue;
    at->second.owes_credit = false;
    send_credit(id, at->second);
  }
}

void Session::end(StreamId id) {
  auto at = streams_.find(id);
  if (closed_ || at == streams_.end() || at->second.local_ended) return;
  at->second.local_ended = true;
  enqueue(id, at->second, Frame(FrameType::kEnd, id, 0, 0).release());
}

void Session::reset(StreamId id, const Error& error) {
  if (streams_.erase(id) == 0) return;
  if (peer_may_open(id)) --opened_by_peer_;
  send_control(FrameType::kReset, id, error_to_map(error));
}

// A reset that neither side asked for: both are told.
void Session::abort(StreamId id, const Error& error) {
  reset(id, error);
  emit(event::Reset{id, error});
}

void Session::close(const Error& error) {
  drop_events();
  if (gate_ == Gate::kAsked) gate_ = Gate::kShut;
  end_with(error);
}

void Session::end_with(const Error& error) {
  if (closed_) return;
  finish(error, event::By::kUs);
  // Behind what the control lane still holds, so that answers given before the end arrive.
  Frame last = make_frame(FrameType::kClose, 0, as_bytes(pack(error_to_map(error))));
  control_.push_back(std::move(last).release());
}

// The session is over, whoever ended it: no stream lives on, and nothing of one is written.
void Session::finish(Error why, event::By by) {
  if (closed_) return;
  closed_ = true;
  streams_.clear();
  ready_.clear();
  opened_by_peer_ = 0;
  unanswered_.clear();
  requests_.clear();
  asked_.clear();
  owed_credits_.clear();
  emit(event::Closed{std::move(why), by});
}

std::uint64_t Session::sendable(StreamId id) const {
  const auto at = streams_.find(id);
  if (closed_ || at == streams_.end() || at->second.local_ended) return 0;
  return at->second.send_limit > at->second.sent ? at->second.send_limit - at->second.sent : 0;
}

std::size_t Session::queued(StreamId id) const {
  const auto at = streams_.find(id);
  return at == streams_.end() ? 0 : at->second.queued_bytes;
}

void Session::drop_if_finished(StreamId id) {
  const auto at = streams_.find(id);
  if (at == streams_.end() || !at->second.remote_ended || !at->second.end_taken) return;
  streams_.erase(at);
  if (peer_may_open(id)) --opened_by_peer_;
}

void Session::note_taken(Stream& stream, const Buffer& bytes) {
  stream.queued_bytes -= bytes.size();
  switch (static_cast<FrameType>(load_be<std::uint16_t>(bytes.data() + 4))) {
    case FrameType::kData:
      stream.taken += bytes.size() - kHeaderSize;
      break;
    case FrameType::kEvent:
      --stream.queued_events;
      stream.queued_event_bytes -= bytes.size();
      break;
    case FrameType::kEnd:
      stream.end_taken = true;
      break;
    default:
      break;
  }
}

std::vector<Buffer> Session::take_output(BootTime now, std::size_t max_bytes) {
  std::vector<Buffer> out;
  std::size_t taken = 0;
  while (!control_.empty()) {
    taken += control_.front().size();
    out.push_back(std::move(control_.front()));
    control_.pop_front();
  }
  control_bytes_ = caused_bytes_ = answer_bytes_ = 0;
  send_owed_credits();
  while (!ready_.empty() && (taken < max_bytes || out.empty())) {
    const StreamId id = ready_.front();
    ready_.pop_front();
    const auto at = streams_.find(id);
    if (at == streams_.end()) continue;  // reset while it waited
    Stream& stream = at->second;
    Buffer bytes = std::move(stream.queue.front().room);
    bytes.truncate(stream.queue.front().used);
    stream.queue.pop_front();
    note_taken(stream, bytes);
    taken += bytes.size();
    out.push_back(std::move(bytes));
    stream.in_ready = !stream.queue.empty();
    if (stream.in_ready) ready_.push_back(id);
    drop_if_finished(id);
  }
  if (!out.empty()) last_sent_ = now;
  return out;
}

void Session::tick(BootTime now) {
  if (closed_) return;
  if (!greeted_ && now >= hello_by()) {
    const auto waited = std::chrono::duration_cast<std::chrono::seconds>(hello_by() - started_);
    return violate(Code::kTimeout, "no HELLO within " + std::to_string(waited.count()) + " s");
  }
  if (now >= last_received_ + kSuspectAfter) {
    control_.clear();  // nobody is there to read it
    return finish(Error{Code::kLinkLost, "nothing was heard for 15 s", {}}, event::By::kPeer);
  }
  if (greeted_ && now >= last_sent_ + kPingEvery) {
    last_sent_ = now;
    // Of a stuck link more frames would make nothing better.
    if (control_.empty()) ping(now);
  }
}

void Session::ping(BootTime now) {
  if (closed_) return;
  Frame ping(FrameType::kPing, 0, 0, 8);
  store_be(ping.payload_room().data(), static_cast<std::uint64_t>(now.time_since_epoch().count()));
  queue_control(std::move(ping), Cause::kOwn);
}

// Who has shown a certificate may wait with his HELLO as long as he pings: a kept connection costs
// no handshake when it is used.
BootTime Session::hello_by() const {
  return started_ + (options_.trust == Trust::kStranger ? kHelloDeadline : kReadyDeadline);
}

BootTime Session::wake_at() const {
  if (!greeted_) return std::min(hello_by(), last_received_ + kSuspectAfter);
  return std::min(last_received_ + kSuspectAfter, last_sent_ + kPingEvery);
}

}  // namespace rexec::wire
