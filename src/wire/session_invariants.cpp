// What must hold in a session between any two calls. Tests and fuzzers ask after every step; the
// product does not, because it costs a walk over everything queued.
#include "src/base/check.hpp"
#include "src/wire/session.hpp"

namespace rexec::wire {

void Session::check_invariants() const {
  std::size_t control = 0;
  for (const Buffer& frame : control_) control += frame.size();
  check(closed_ || control == control_bytes_, "control bytes are counted");
  check(caused_bytes_ <= kMaxQueuedControl && answer_bytes_ <= kMaxQueuedAnswers,
        "what the peer causes and does not read is bounded");
  check(caused_bytes_ + answer_bytes_ <= control || closed_, "it is part of the control lane");
  check(asked_.size() <= kRequestsUnderWay, "requests under way are bounded");
  if (closed_) return check(streams_.empty() && ready_.empty(), "a closed session holds no stream");

  std::size_t of_peer = 0;
  std::size_t waiting = 0;
  for (const auto& [id, stream] : streams_) {
    if (peer_may_open(id)) ++of_peer;
    if (stream.in_ready) ++waiting;
    std::size_t queued = 0;
    for (const Queued& frame : stream.queue) queued += frame.used;
    check(queued == stream.queued_bytes, "queued bytes are counted");
    check(stream.in_ready == !stream.queue.empty(), "a stream waits when it has something to say");
    check(stream.received <= stream.receive_limit, "no more is received than was granted");
    check(stream.taken <= stream.sent, "what is taken was sent");
    check(stream.sent <= stream.send_limit, "no more is sent than was granted");
    check(stream.sent - stream.taken <= kInitialWindow, "at most a window of data is queued");
    check(stream.queue.size() <= kMaxQueuedFrames + kMaxQueuedEvents + 1,
          "queued frames are bounded");
    check(stream.queued_events <= kMaxQueuedEvents, "queued events are bounded");
    check(!(stream.remote_ended && stream.end_taken), "a finished stream is gone");
  }
  check(of_peer == opened_by_peer_, "the peer's streams are counted");
  check(of_peer <= options_.max_streams, "the peer's streams are bounded");
  check(waiting <= ready_.size(), "every waiting stream has its turn");
}

}  // namespace rexec::wire
