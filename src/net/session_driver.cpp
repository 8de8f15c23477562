#include "src/net/session_driver.hpp"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "src/base/check.hpp"
#include "src/base/log.hpp"

namespace rexec::net {
namespace {

constexpr std::size_t kReadBudget =
    512 << 10;  // one turn's share of the thread; others are served in between
constexpr std::size_t kFlight = 128 << 10;  // a control frame waits for at most one of these
constexpr std::size_t kRecord = 16 << 10;   // the payload of a full TLS record
constexpr std::size_t kStaging = 64 << 10;
// What is written in one turn when the peer takes it as fast as it comes.
constexpr std::size_t kWriteBudget = 1 << 20;

// Shared by every connection of the thread: what is read is parsed or copied before the next
// connection reads.
MutableBytes staging() {
  static thread_local std::unique_ptr<std::uint8_t[]> memory =
      std::make_unique_for_overwrite<std::uint8_t[]>(kStaging);
  return {memory.get(), kStaging};
}

// Small neighbours become one piece, so that a flight of small frames costs one record and one
// system call.
std::vector<Buffer> coalesce(std::vector<Buffer> frames) {
  std::vector<Buffer> out;
  for (std::size_t i = 0; i < frames.size();) {
    std::size_t total = 0;
    std::size_t last = i;
    while (last < frames.size() && total + frames[last].size() <= kRecord)
      total += frames[last++].size();
    if (last <= i + 1) {
      out.push_back(std::move(frames[i++]));
      continue;
    }
    Buffer joined(total);
    std::size_t at = 0;
    for (; i < last; ++i) {
      std::memcpy(joined.data() + at, frames[i].data(), frames[i].size());
      at += frames[i].size();
    }
    out.push_back(std::move(joined));
  }
  return out;
}

}  // namespace

SessionDriver::SessionDriver(const Executor& executor, std::unique_ptr<Transport> transport,
                             wire::SessionOptions options, EndTimes end_times)
    : descriptor_(executor, transport->fd()),
      transport_(std::move(transport)),
      session_(options),
      tick_(executor),
      end_times_(end_times) {}

SessionDriver::~SessionDriver() = default;

void SessionDriver::start(SessionHandler& handler) {
  handler_ = &handler;
  arm_tick();
  asio::post(descriptor_.get_executor(), [self = shared_from_this()] { self->on_readable(); });
}

void SessionDriver::detach(const Error& reason) {
  handler_ = nullptr;
  session_.close(reason);
  flush();
}

void SessionDriver::wait_read() {
  if (shut_ || reading_) return;
  reading_ = true;
  const auto what = read_wants_write_ ? asio::posix::stream_descriptor::wait_write
                                      : asio::posix::stream_descriptor::wait_read;
  descriptor_.async_wait(what, [self = shared_from_this()](const asio::error_code& error) {
    self->reading_ = false;
    if (!error) self->on_readable();
  });
}

// Reads once into the frame under way or into the staging memory. False when the socket is empty or
// probably is. If bytes are there nevertheless, wait_read() comes back at once.
bool SessionDriver::read_some() {
  const MutableBytes direct = session_.direct_target();
  const MutableBytes to = direct.empty() ? staging() : direct;
  const IoResult got = transport_->read(to);
  read_wants_write_ = got.status == Io::kWantWrite;
  switch (got.status) {
    case Io::kDone:
      if (direct.empty()) {
        session_.receive(BootClock::now(), to.first(got.bytes));
      } else {
        session_.direct_received(BootClock::now(), got.bytes);
      }
      return !got.drained;
    case Io::kWantRead:
    case Io::kWantWrite:
      return false;
    case Io::kEof:
      finish("the peer closed the connection");
      return false;
    case Io::kFailed:
      finish(transport_->failure());
      return false;
  }
  return false;
}

void SessionDriver::on_readable() {
  const auto self = shared_from_this();
  Turn turn;
  std::size_t budget = kReadBudget;
  bool more = true;
  while (!shut_ && more && budget > 0) {
    if (session_.is_backlogged()) flush();
    if (shut_ || session_.is_backlogged()) break;
    more = read_some();
    budget -= std::min<std::size_t>(budget, 16 << 10);
    dispatch();
  }
  turn.finish();
  flush();
  if (shut_) return;
  // What he does not take is the answer to what he sent: nothing more of that before there is room.
  if (session_.is_backlogged() && writing_) {
    reads_later_ = true;
  } else if (more) {
    asio::post(descriptor_.get_executor(), [self] {
      if (!self->reading_) self->on_readable();
    });
  } else {
    wait_read();
  }
}

// What a message makes go wrong costs the session that it came on, and nobody else; what the system
// refuses is not its fault.
static void hand(wire::Session& session, SessionHandler& handler, wire::Event event) {
  if (session.closed()) return handler.on_event(std::move(event));
  try {
    handler.on_event(std::move(event));
  } catch (const std::system_error&) {
    throw;
  } catch (const std::exception& error) {
    log_error("a message could not be handled", {{"why", error.what()}});
    session.close({Code::kInternal, "a message could not be handled", {}});
  }
}

void SessionDriver::dispatch() {
  if (dispatching_) return;
  dispatching_ = true;
  wire::Event event;
  while (session_.next_event(event)) {
    const bool last = std::holds_alternative<wire::event::Closed>(event);
    if (std::holds_alternative<wire::event::Hello>(event)) arm_tick();  // PINGs begin
    SessionHandler* handler = last ? std::exchange(handler_, nullptr) : handler_;
    if (handler != nullptr) hand(session_, *handler, std::move(event));
  }
  dispatching_ = false;
}

void SessionDriver::flush() {
  if (flushing_) return;  // by a handler of this very flush: the loop below sees what it added
  const auto self = shared_from_this();
  flushing_ = true;
  dispatch();
  write_flights();
  flushing_ = false;
  if (session_.closed()) close_soon();
}

void SessionDriver::write_flights() {
  std::size_t budget = kWriteBudget;
  while (!shut_ && !writing_) {
    if (flight_.empty()) {
      if (!session_.has_output()) return;
      if (budget == 0) return flush_later();
      budget -= std::min(budget, kFlight);
      flight_ = coalesce(session_.take_output(BootClock::now(), kFlight));
      flight_at_ = 0;
    }
    if (!write_pending()) return;
    if (handler_ != nullptr) handler_->on_written();
    dispatch();
  }
}

void SessionDriver::flush_soon() {
  Turn* const turn = Turn::current();
  if (turn == nullptr) return flush_later();
  if (!std::exchange(flush_owed_, true)) turn->owed_.push_back(shared_from_this());
}

void SessionDriver::flush_later() {
  if (flush_posted_ || shut_) return;
  flush_posted_ = true;
  asio::post(descriptor_.get_executor(), [self = shared_from_this()] {
    self->flush_posted_ = false;
    self->flush();
  });
}

Turn::Turn() {
  if (current() == nullptr) current() = this;
}

Turn::~Turn() {
  if (current() == this) current() = nullptr;
  for (const auto& driver : owed_) driver->flush_owed_ = false;
}

Turn*& Turn::current() {
  static thread_local Turn* one = nullptr;
  return one;
}

// A flush can make other sessions speak. Those are flushed by the reactor, not here: two sessions
// that answer each other do not hold the thread.
void Turn::finish() {
  if (current() != this) return;
  current() = nullptr;
  for (const auto& driver : std::exchange(owed_, {})) {
    driver->flush_owed_ = false;
    driver->flush();
  }
}

// True when the flight is out.
bool SessionDriver::write_pending() {
  Io status = Io::kDone;
  while (status == Io::kDone && flight_at_ < flight_.size()) {
    Buffer& piece = flight_[flight_at_];
    const IoResult put = transport_->gather(piece);
    status = put.status;
    piece.consume(put.bytes);
    if (piece.empty()) {
      piece = Buffer();
      ++flight_at_;
    }
  }
  if (status == Io::kDone) status = transport_->flush();
  if (status == Io::kDone) {
    flight_.clear();
    return true;
  }
  if (status == Io::kWantWrite || status == Io::kWantRead) {
    wait_write(status);
  } else {
    finish(transport_->failure());
  }
  return false;
}

void SessionDriver::wait_write(Io what_for) {
  using Descriptor = asio::posix::stream_descriptor;
  writing_ = true;
  descriptor_.async_wait(what_for == Io::kWantRead ? Descriptor::wait_read : Descriptor::wait_write,
                         [self = shared_from_this()](const asio::error_code& error) {
                           self->writing_ = false;
                           if (error) return;
                           if (self->reads_later_)
                             self->session_.written_in_backlog(BootClock::now());
                           self->flush();
                           if (!self->writing_ && std::exchange(self->reads_later_, false))
                             self->on_readable();
                         });
}

void SessionDriver::arm_tick() {
  const auto wait = std::chrono::ceil<Millis>(session_.wake_at() - BootClock::now());
  tick_.arm(std::max(wait, Millis{1}), [self = shared_from_this()] { self->on_tick(); });
}

void SessionDriver::on_tick() {
  if (shut_ || closing_) return;
  // After a suspension of our own the bytes of a living peer wait in the socket.
  on_readable();
  session_.tick(BootClock::now());
  flush();
  if (!shut_ && !closing_) arm_tick();
}

void SessionDriver::finish(std::string_view why) {
  session_.transport_lost(why);
  shut();
  dispatch();
}

void SessionDriver::cut(std::string_view why) {
  const auto self = shared_from_this();
  session_.transport_lost(why);
  shut_ = lingered_ = true;
  flight_.clear();
  tick_.cancel();
  descriptor_.cancel();
  dispatch();
}

void hold_place(const std::shared_ptr<SessionDriver>& driver,
                std::shared_ptr<Strangers::Place> place) {
  place->on_shed([weak = std::weak_ptr(driver)] {
    if (const auto held = weak.lock()) held->cut("a stranger's time is over");
  });
  driver->hold(std::move(place));
}

// The session is over: what is queued, its CLOSE at last, is written unless the peer takes nothing.
void SessionDriver::close_soon() {
  if (shut_) return;
  if (flight_.empty() && !session_.has_output()) return shut();
  if (std::exchange(closing_, true)) return;
  tick_.arm(end_times_.closing, [self = shared_from_this()] { self->shut(); });
}

void SessionDriver::shut() {
  if (shut_) return;
  shut_ = true;
  flight_.clear();
  transport_->shutdown();
  descriptor_.cancel();
  // Closing a socket with unread bytes resets it, and the reset overtakes the CLOSE we have just
  // written: read on for a moment, and as long as the peer takes what the kernel still has for it.
  give_up_at_ = BootClock::now() + end_times_.closing;
  arm_linger();
  linger();
}

void SessionDriver::arm_linger() {
  tick_.arm(end_times_.linger, [self = shared_from_this()] {
    int unsent = 0;
    const bool known = ::ioctl(self->transport_->fd(), TIOCOUTQ, &unsent) == 0;
    if (known && unsent > 0 && BootClock::now() < self->give_up_at_) return self->arm_linger();
    self->lingered_ = true;
    self->descriptor_.cancel();
  });
}

void SessionDriver::linger() {
  std::uint8_t* scratch = staging().data();
  ssize_t n = 0;
  // A peer that sends without end is not read without end.
  for (std::size_t left = kReadBudget; left > 0 && n >= 0; left -= kStaging) {
    n = ::recv(transport_->fd(), scratch, kStaging, MSG_DONTWAIT);
    if (n == 0) break;
  }
  const bool more = n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
  if (!more || lingered_) return tick_.cancel();
  descriptor_.async_wait(asio::posix::stream_descriptor::wait_read,
                         [self = shared_from_this()](const asio::error_code& error) {
                           if (!error) self->linger();
                         });
}

}  // namespace rexec::net
