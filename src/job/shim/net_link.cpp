// See net_link.hpp.
#include "src/job/shim/net_link.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "src/job/shim/stdin_pump.hpp"
#include "src/os/seqpacket.hpp"

namespace rexec::job {
namespace {

constexpr std::size_t kLargestToShim = link::kMaxStdinBytes + 64;
// The job's progress on stdin is told at once when the progress is large or the last message is
// older than kAckEvery; otherwise a timer tells it. Each such message wakes net, the controller and
// the client; without this rule a stdin of short lines would double the number of wake-ups.
constexpr std::uint64_t kMuchStdin = kStdinWindow / 4;
constexpr Nanos kAckEvery = std::chrono::milliseconds(20);

// Static so that its pages are not touched before a large message comes (see output_pump.cpp).
std::uint8_t receive_buffer[kLargestToShim];

bool same(const link::Output& a, const link::Output& b) {
  return a.out_total == b.out_total && a.err_total == b.err_total && a.spool_size == b.spool_size;
}

}  // namespace

NetLink::NetLink(os::EventLoop& loop, const SpoolWriter& spool, int directory_fd, Events events)
    : loop_(loop), spool_(spool), directory_(directory_fd), events_(std::move(events)) {}

NetLink::~NetLink() {
  stop_listening();
  loop_.forget(token_);
  loop_.cancel(ack_timer_);
}

void NetLink::listen(os::UniqueFd listener) {
  listener_ = std::move(listener);
  listen_token_ = loop_.watch(listener_.get(), EPOLLIN, [this](std::uint32_t) { accept_one(); });
}

void NetLink::stop_listening() {
  loop_.forget(listen_token_);
  listener_.reset();
}

void NetLink::accept_one() {
  os::UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket) return;
  const auto peer = os::peer_credentials(socket.get());
  if (!peer || peer->uid != ::geteuid()) return;
  connect(std::move(socket));
}

// Before an older connection is closed: what net sent over it counts, and what it sends from now on
// fails at its end instead of getting lost here.
void NetLink::take_last_words() {
  if (!socket_) return;
  ::shutdown(socket_.get(), SHUT_RD);
  while (true) {
    const os::Received got = os::receive_message(socket_.get(), receive_buffer);
    if (got.status != os::IoStatus::kDone) return;
    const auto message = link::decode_to_shim({receive_buffer, got.size});
    if (!message || !events_.message(*message)) return;
  }
}

void NetLink::connect(os::UniqueFd socket) {
  take_last_words();
  loop_.forget(token_);
  socket_ = std::move(socket);
  told_ = {};
  token_ = loop_.watch(socket_.get(), EPOLLIN, [this](std::uint32_t events) {
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) receive_some();
    if ((events & EPOLLOUT) != 0) flush();
  });
  flush();
}

void NetLink::drop() {
  loop_.forget(token_);
  socket_.reset();
  events_.lost();
}

void NetLink::receive_some() {
  // A few at a time: stdin must not starve the job's output.
  for (int i = 0; i < 8 && socket_; ++i) {
    const os::Received got = os::receive_message(socket_.get(), receive_buffer);
    if (got.status == os::IoStatus::kAgain) return;
    if (got.status != os::IoStatus::kDone) return drop();
    const auto message = link::decode_to_shim({receive_buffer, got.size});
    if (!message || !events_.message(*message)) return drop();
    // A second message seldom waits behind a small one. If one does, the loop calls again.
    if (got.size < kLargestToShim / 2) return;
  }
}

bool NetLink::send(const link::FromShim& message, int fd) {
  const std::string bytes = link::encode(message);
  const std::span<const int> fds(&fd, fd < 0 ? 0 : 1);
  const os::IoStatus status = os::send_message(socket_.get(), as_bytes(bytes), fds);
  if (status == os::IoStatus::kAgain) loop_.change(token_, EPOLLIN | EPOLLOUT);
  // A dead socket is noticed and dropped when it is read.
  return status == os::IoStatus::kDone;
}

bool NetLink::tell_state() {
  if (told_.state) return true;
  link::State state;
  state.in_offset = picture.ack.offset;
  state.in_limit = picture.ack.limit;
  state.out_total = spool_.totals().out;
  state.err_total = spool_.totals().err;
  state.seq = spool_.seq();
  state.started = picture.started;
  state.tty = picture.tty;
  state.pid = picture.pid;
  state.started_ms = picture.started_ms;
  if (!send(state)) return false;
  told_.state = true;
  told_.started = picture.started;
  told_.ack = picture.ack;
  return true;
}

bool NetLink::tell_segments() {
  for (const SegmentInfo& info : spool_.segments()) {
    if (info.index < told_.next_segment) continue;
    os::UniqueFd fd(::openat(directory_, segment_name(info.index).c_str(), O_RDONLY | O_CLOEXEC));
    const link::Segment message{info.index, info.out_base, info.err_base, info.seq_base};
    if (fd && !send(message, fd.get())) return false;
    told_.next_segment = info.index + 1;
  }
  return true;
}

bool NetLink::tell_output() {
  const link::Output now{spool_.totals().out, spool_.totals().err, spool_.spool_size()};
  if (same(now, told_.output)) return true;
  if (!send(now)) return false;
  told_.output = now;
  return true;
}

// False: the timer that this sets will send the acknowledgement.
bool NetLink::ack_is_due() {
  const bool is_much = picture.ack.offset - told_.ack.offset >= kMuchStdin ||
                       picture.ack.limit - told_.ack.limit >= kMuchStdin;
  const Nanos left = told_.ack_at + kAckEvery - BootClock::now();
  if (is_much || left <= Nanos(0)) return true;
  if (ack_timer_ == 0) ack_timer_ = loop_.after(left, [this] { ack_timer_ = 0, flush(); });
  return false;
}

bool NetLink::tell_ack() {
  if (picture.ack.offset == told_.ack.offset && picture.ack.limit == told_.ack.limit) return true;
  if (!ack_is_due()) return true;
  if (!send(picture.ack)) return false;
  told_.ack = picture.ack;
  told_.ack_at = BootClock::now();
  return true;
}

bool NetLink::tell_input() {
  if (!tell_ack()) return false;
  if (picture.held.error != told_.held.error || picture.held.readers != told_.held.readers) {
    if (!send(picture.held)) return false;
    told_.held = picture.held;
  }
  if (picture.started && !told_.started) {
    if (!send(link::Started{picture.pid, picture.started_ms})) return false;
    told_.started = true;
  }
  return true;
}

bool NetLink::tell_end() {
  if (picture.exited && !told_.exited) {
    if (!send(*picture.exited)) return false;
    told_.exited = true;
  }
  if (!picture.end_record.empty() && !told_.end) {
    if (!send(link::End{picture.end_record})) return false;
    told_.end = true;
  }
  return true;
}

void NetLink::flush() {
  if (!socket_) return;
  // The order is the promise: a segment before output that needs it, all output before the end.
  if (tell_state() && tell_segments() && tell_output() && tell_input() && tell_end())
    loop_.change(token_, EPOLLIN);
}

}  // namespace rexec::job
