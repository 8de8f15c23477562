// Runs one wire::Session over one Transport on the reactor: reads, hands events to the handler,
// writes what the session has to say, wakes it for its heartbeats. Callbacks instead of coroutines
// here, because a flight is then written in the same turn in which it was queued and an idle
// connection holds no frames. It decides nothing about verbs and streams.
#pragma once

#include <memory>

#include "src/net/strangers.hpp"
#include "src/net/task.hpp"
#include "src/net/transport.hpp"
#include "src/wire/session.hpp"

namespace rexec::net {

class SessionDriver;
class Turn;

// One per session. Called on the reactor; may use driver.session() freely, output is flushed after
// the call returns.
class SessionHandler {
 public:
  virtual ~SessionHandler() = default;
  // The last event is Closed; after it the handler is not called again.
  virtual void on_event(wire::Event event) = 0;
  // A flight was written: queued bytes became fewer, so that a source of data may add some.
  virtual void on_written() {}
};

// How long an ended session is served on: until its last words are written, and until the peer has
// read them.
struct EndTimes {
  Millis closing{5'000};
  Millis linger{1'000};
};

class SessionDriver : public std::enable_shared_from_this<SessionDriver> {
 public:
  SessionDriver(const Executor& executor, std::unique_ptr<Transport> transport,
                wire::SessionOptions options, EndTimes end_times = {});
  ~SessionDriver();

  // Keeps itself alive until Closed. The handler must outlive that, or detach() first. It is not
  // called before the current turn is over, not even when the peer has gone: who starts a session
  // may use it for the rest of the turn.
  void start(SessionHandler& handler);
  // The handler is not called any more; the session is closed with `reason` and what is queued is
  // still written.
  void detach(const Error& reason);
  // The connection is closed at once, without a word to the peer; the handler hears that it is
  // lost.
  void cut(std::string_view why);
  // `what` is held for as long as the descriptor.
  void hold(std::shared_ptr<void> what) { held_ = std::move(what); }
  wire::Session& session() { return session_; }
  Transport& transport() { return *transport_; }
  // To be called after using session() outside of a handler call.
  void flush();
  // The same at the end of the current Turn, or when the reactor comes to it: what many frames
  // queue meanwhile leaves in one flight.
  void flush_soon();
  // All was written, its CLOSE at last, or nothing more will be.
  bool is_over() const { return shut_; }

 private:
  friend class Turn;
  void wait_read();
  void on_readable();
  bool read_some();
  void dispatch();
  void wait_write(Io what_for);
  void write_flights();
  void flush_later();
  bool write_pending();
  void arm_tick();
  void on_tick();
  void finish(std::string_view why);
  void close_soon();
  void shut();
  void arm_linger();
  void linger();

  std::shared_ptr<void> held_;     // outlives the transport
  BorrowedDescriptor descriptor_;  // the transport's
  std::unique_ptr<Transport> transport_;
  wire::Session session_;
  Timer tick_;
  SessionHandler* handler_ = nullptr;
  std::vector<Buffer> flight_;  // being written, first byte first
  std::size_t flight_at_ = 0;
  BootTime give_up_at_{};
  EndTimes end_times_;
  bool reading_ = false;
  bool writing_ = false;
  bool reads_later_ = false;  // when the peer took some of what waits for him
  bool dispatching_ = false;
  bool flushing_ = false;
  bool closing_ = false;
  bool shut_ = false;
  bool lingered_ = false;
  bool flush_posted_ = false;
  bool flush_owed_ = false;  // this session is in the current turn's list
  bool read_wants_write_ = false;
};

// The handling of one readable descriptor. Sessions that ask for flush_soon() meanwhile are written
// when the turn ends, before the reactor is asked for events: the next process on the way gets the
// bytes some microseconds earlier. A turn inside another turn is part of the outer one.
class Turn {
 public:
  Turn();
  ~Turn();
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  // Writes. The destructor does not, because a flush may throw.
  void finish();

 private:
  friend class SessionDriver;
  static Turn*& current();
  std::vector<std::shared_ptr<SessionDriver>> owed_;
};

// The session of one who has not shown who he is: it is cut when his place is shed, and the place
// is his until the descriptor is closed.
void hold_place(const std::shared_ptr<SessionDriver>& driver,
                std::shared_ptr<Strangers::Place> place);

}  // namespace rexec::net
