// One authenticated session with the controller, as the client sees it: calls that are awaited, and
// streams with a handler each. It does not reconnect and prints nothing; run.* and the verbs decide
// what a lost session means.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>

#include "src/client/context.hpp"
#include "src/net/dialler.hpp"
#include "src/net/session_driver.hpp"

namespace rexec::client {

// One open stream. The frames are valid during the call.
class StreamHandler {
 public:
  virtual ~StreamHandler() = default;
  virtual void on_data(wire::Channel channel, ByteSpan bytes) = 0;
  virtual void on_event(const wire::Map& map) = 0;
  virtual void on_end() = 0;
  // Also called, with kLinkLost, for every open stream when the session ends.
  virtual void on_reset(const Error& error) = 0;
  virtual void on_credit(std::uint64_t limit) { static_cast<void>(limit); }
};

class Remote final : public net::SessionHandler {
 public:
  explicit Remote(const net::Executor& executor);
  ~Remote() override;
  Remote(const Remote&) = delete;
  Remote& operator=(const Remote&) = delete;

  // Takes a connected transport, says HELLO as a user; returns at once: requests may follow in the
  // same flight. alive() from here on until on_closed, which comes in a later turn.
  void start(std::unique_ptr<net::Transport> transport, wire::Map hello);
  // Waits for the controller's HELLO (or its CLOSE).
  net::Task<Result<wire::Map>> greeted();
  // kLinkLost when the session ends before the answer.
  net::Task<Result<wire::Map>> call(std::string verb, wire::Map args);

  wire::StreamId open(std::string_view kind, wire::Map args, StreamHandler& handler);
  // Streams that the controller opens: returns their handler, or nullptr to refuse.
  std::function<StreamHandler*(wire::StreamId, const std::string& kind, const wire::Map& args)>
      on_open;
  // The session's end, once; every stream has had its on_reset before.
  std::function<void(const Error&)> on_closed;
  std::function<void()> on_room;  // something was written

  bool alive() const { return driver_ != nullptr; }
  // When the last byte came; the epoch without a session.
  BootTime last_heard() const { return driver_ ? driver_->session().last_received() : BootTime{}; }
  wire::Session& session() { return driver_->session(); }
  void flush() {
    if (driver_) driver_->flush_soon();
  }
  void forget(wire::StreamId stream) { streams_.erase(stream); }
  // Another handler for an open stream; nothing happens when it is gone.
  void hand_over(wire::StreamId stream, StreamHandler& to) {
    const auto at = streams_.find(stream);
    if (at != streams_.end()) at->second = &to;
  }
  void close(const Error& reason);
  // What close() has still to write.
  bool is_parting() const;
  const wire::Map& hello() const { return hello_; }

  void on_event(wire::Event event) override;
  void on_written() override {
    if (on_room) on_room();
  }

 private:
  struct Call {
    explicit Call(const net::Executor& executor) : done(executor) {}
    net::Notifier done;
    Result<wire::Map> result = wire::Map::object();
  };
  Error in_words(Error error) const;
  void drop(wire::StreamId stream, const Error& error);
  void ended(const Error& error);
  StreamHandler* handler(wire::StreamId stream);

  net::Executor executor_;
  std::shared_ptr<net::SessionDriver> driver_;
  std::weak_ptr<net::SessionDriver> parting_;
  net::Notifier hello_came_;
  bool has_hello_ = false;
  wire::Map hello_;
  Error end_{Code::kLinkLost, "not connected", {}};
  std::unordered_map<wire::RequestId, std::shared_ptr<Call>> calls_;
  std::unordered_map<wire::StreamId, StreamHandler*> streams_;
};

}  // namespace rexec::client
