// The receiving half of the session machine: every frame a peer may send, and what it costs him
// when it is wrong.
#include <algorithm>

#include "src/base/check.hpp"
#include "src/wire/session.hpp"

namespace rexec::wire {

Result<std::uint16_t> negotiate(VersionRange ours, VersionRange theirs) {
  const std::uint16_t common = std::min(ours.highest, theirs.highest);
  if (common >= ours.lowest && common >= theirs.lowest) return common;
  const auto range = [](VersionRange r) {
    return std::to_string(r.lowest) + " to " + std::to_string(r.highest);
  };
  return fail(Code::kVersion,
              "no protocol version in common: here " + range(ours) + ", there " + range(theirs),
              "upgrade the older side: rexec version");
}

void Session::receive(BootTime now, ByteSpan bytes) {
  if (closed_) return;
  last_received_ = now;
  while (!closed_) {
    auto frame = parser_.next(bytes);
    if (!frame) return violate(frame.error().code, frame.error().message);
    if (!*frame) return;
    handle(std::move(**frame));
  }
}

void Session::direct_received(BootTime now, std::size_t n) {
  if (closed_) return;
  last_received_ = now;
  if (auto frame = parser_.direct_filled(n)) handle(std::move(*frame));
}

void Session::transport_lost(std::string_view why) {
  finish(Error{Code::kLinkLost, std::string(why), {}}, event::By::kPeer);
}

bool Session::next_event(Event& out) {
  // Shown, and neither accepted nor refused: nothing behind it is the handler's.
  if (gate_ == Gate::kAsked) close({Code::kDenied, "the HELLO was not accepted", {}});
  if (events_.empty()) return false;
  out = std::move(events_.front());
  events_.pop_front();
  const bool accepts = said_hello_ || options_.side == Side::kDialler;
  if (std::holds_alternative<event::Hello>(out)) gate_ = accepts ? Gate::kOpen : Gate::kAsked;
  return true;
}

void Session::drop_events() {
  std::erase_if(events_, [](const Event& e) { return !std::holds_alternative<event::Closed>(e); });
}

// What came before it in the same bytes is told: the peer's frames have their order.
void Session::violate(Code code, std::string why) { end_with({code, std::move(why), {}}); }

bool Session::with_map(const Frame& frame, Map& out) {
  auto map = parse_map(frame.payload());
  if (!map) {
    violate(map.error().code, map.error().message);
    return false;
  }
  out = std::move(*map);
  return true;
}

// What a message carries is an object, or nothing: a list has no fields to ask for.
static Map object_in(Map& map, std::string_view key) {
  Map found = take_child(map, key);
  if (!found.is_object()) return Map::object();
  return found;
}

void Session::handle(Frame frame) {
  const FrameType type = frame.type();
  Map map;
  const bool may_come_early = type == FrameType::kHello || type == FrameType::kClose ||
                              (type == FrameType::kPing && options_.trust == Trust::kAuthenticated);
  if (!greeted_ && !may_come_early) return violate(Code::kProtocol, "the first frame is not HELLO");
  switch (type) {
    case FrameType::kHello:
      if (with_map(frame, map)) handle_hello(map);
      return;
    case FrameType::kClose:
      if (with_map(frame, map)) finish(error_from_map(map), event::By::kPeer);
      return;
    case FrameType::kPing:
      return queue_control(make_frame(FrameType::kPong, 0, frame.payload()), Cause::kPeer);
    case FrameType::kPong:
      return;
    case FrameType::kRequest:
      if (with_map(frame, map)) handle_request(std::move(map));
      return;
    case FrameType::kResponse:
      if (with_map(frame, map)) handle_response(std::move(map));
      return;
    case FrameType::kNotice: {
      if (!with_map(frame, map)) return;
      return emit(event::Notice{text_or(map, "verb"), object_in(map, "args")});
    }
    case FrameType::kOpen:
      if (with_map(frame, map)) handle_open(frame.stream(), std::move(map));
      return;
    case FrameType::kData:
      return handle_data(std::move(frame));
    case FrameType::kEvent:
    case FrameType::kSignal:
      return handle_stream_map(std::move(frame));
    case FrameType::kCredit:
      return handle_credit(frame);
    case FrameType::kEnd:
      return handle_end(frame.stream());
    case FrameType::kReset:
      if (with_map(frame, map)) handle_reset(frame.stream(), map);
      return;
  }
}

void Session::handle_hello(const Map& map) {
  if (greeted_) return violate(Code::kProtocol, "a second HELLO");
  const Map& versions = child_or_empty(map, "versions");
  if (!versions.is_array() || versions.size() != 2 || !versions[0].is_number_unsigned() ||
      !versions[1].is_number_unsigned() || versions[0] > 65535U || versions[1] > 65535U ||
      versions[0] > versions[1])
    return violate(Code::kProtocol, "HELLO has no usable versions");
  const auto version = negotiate(
      options_.versions, {versions[0].get<std::uint16_t>(), versions[1].get<std::uint16_t>()});
  if (!version) return end_with(version.error());
  greeted_ = true;
  if (options_.trust == Trust::kAuthenticated) parser_.set_control_limit(kMaxControl);
  emit(event::Hello{map});
}

void Session::handle_request(Map map) {
  const auto id = get_u64(map, "id");
  const auto verb = get_text(map, "verb");
  if (!id) return violate(Code::kProtocol, "REQUEST: " + id.error().message);
  if (!verb) return violate(Code::kProtocol, "REQUEST: " + verb.error().message);
  if (unanswered_.size() >= kMaxUnanswered)
    return violate(Code::kLimit,
                   "more than " + std::to_string(kMaxUnanswered) + " requests without an answer");
  if (!unanswered_.insert(*id).second) {
    // The first one keeps its answer; the id of this one cannot be told apart, so the peer learns
    // it by a notice.
    send_control(FrameType::kNotice, 0, {{"verb", "duplicate_request"}, {"args", {{"id", *id}}}},
                 Cause::kPeer);
    return;
  }
  emit(event::Request{*id, *verb, object_in(map, "args")});
}

void Session::handle_response(Map map) {
  const auto id = get_u64(map, "id");
  if (!id) return violate(Code::kProtocol, "RESPONSE: " + id.error().message);
  const bool is_sent =
      *id != 0 && *id < (requests_.empty() ? next_request_ : requests_.front().first);
  if (!is_sent) return violate(Code::kProtocol, "RESPONSE to a request never made");
  asked_.erase(*id);
  send_requests();
  if (map.contains("error")) {
    Error error = error_from_map(object_in(map, "error"));
    return emit(event::Response{*id, std::unexpected(std::move(error))});
  }
  emit(event::Response{*id, object_in(map, "result")});
}

bool Session::peer_may_open(StreamId stream) const {
  const bool odd = (stream & 1U) != 0;
  return stream != 0 && odd == (options_.side == Side::kAcceptor);
}

// A frame about a stream that has ended here may still be under way; one about a stream that never
// was is a violation.
bool Session::stale(StreamId stream) const {
  return peer_may_open(stream) ? stream <= highest_peer_stream_
                               : stream != 0 && stream < next_stream_;
}

Session::Stream* Session::find(StreamId stream) {
  const auto at = streams_.find(stream);
  if (at != streams_.end()) return &at->second;
  if (!stale(stream))
    violate(Code::kProtocol,
            "a frame for stream " + std::to_string(stream) + ", which was never opened");
  return nullptr;
}

void Session::handle_open(StreamId stream, Map map) {
  if (!peer_may_open(stream) || stream <= highest_peer_stream_)
    return violate(Code::kProtocol, "OPEN with stream number " + std::to_string(stream));
  const auto kind = get_text(map, "kind");
  if (!kind) return violate(Code::kProtocol, "OPEN: " + kind.error().message);
  highest_peer_stream_ = stream;
  const std::uint32_t limit = options_.trust == Trust::kAuthenticated ? options_.max_streams : 0;
  if (opened_by_peer_ >= limit) {
    const Error error{
        Code::kLimit, "more than " + std::to_string(limit) + " streams in this session", {}};
    send_control(FrameType::kReset, stream, error_to_map(error), Cause::kPeer);
    return;
  }
  streams_[stream];
  ++opened_by_peer_;
  emit(event::Opened{stream, *kind, object_in(map, "args")});
}

void Session::handle_data(Frame frame) {
  const StreamId id = frame.stream();
  Stream* stream = find(id);
  if (stream == nullptr) return;
  if (stream->remote_ended) return violate(Code::kProtocol, "DATA after END");
  if (frame.flags() > static_cast<std::uint16_t>(Channel::kSpec))
    return violate(Code::kProtocol, "DATA on an unknown channel");
  stream->received += frame.payload().size();
  if (stream->received > stream->receive_limit)
    return violate(Code::kProtocol, "more DATA than credit");
  // What is left of a wish larger than the window, in steps that are worth a frame.
  const std::uint64_t limit = grantable(*stream);
  if (limit == stream->receive_wish || limit >= stream->receive_limit + kInitialWindow / 4)
    send_credit(id, *stream);
  const auto channel = static_cast<Channel>(frame.flags());
  emit(event::Data{id, channel, std::move(frame)});
}

void Session::handle_stream_map(Frame frame) {
  const StreamId id = frame.stream();
  Stream* stream = find(id);
  if (stream == nullptr) return;
  if (frame.type() == FrameType::kSignal) return emit(event::Signal{id, std::move(frame)});
  if (stream->remote_ended) return violate(Code::kProtocol, "EVENT after END");
  emit(event::Event{id, std::move(frame)});
}

void Session::handle_credit(const Frame& frame) {
  Stream* stream = find(frame.stream());
  if (stream == nullptr) return;
  const auto limit = load_be<std::uint64_t>(frame.payload().data());
  if (limit <= stream->send_limit) return;  // a late or repeated grant lowers nothing
  // Credit is for room that was made by reading: more than a window beyond what went out would let
  // a reader that never reads fill our memory.
  if (limit > stream->taken + kInitialWindow)
    return violate(Code::kProtocol, "CREDIT for more than a window");
  stream->send_limit = limit;
  emit(event::Credit{frame.stream(), limit});
}

void Session::handle_end(StreamId id) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  if (stream->remote_ended) return violate(Code::kProtocol, "END twice");
  stream->remote_ended = true;
  emit(event::Ended{id});
  drop_if_finished(id);
}

void Session::handle_reset(StreamId id, const Map& map) {
  if (find(id) == nullptr) return;
  if (peer_may_open(id)) --opened_by_peer_;
  streams_.erase(id);
  emit(event::Reset{id, error_from_map(map)});
}

}  // namespace rexec::wire
