#include "src/client/remote.hpp"

#include <variant>

#include "src/base/check.hpp"

namespace rexec::client {

using namespace wire;  // the event types

Remote::Remote(const net::Executor& executor) : executor_(executor), hello_came_(executor) {}

Remote::~Remote() {
  if (driver_) driver_->detach({Code::kLinkLost, "the client is leaving", {}});
}

void Remote::start(std::unique_ptr<net::Transport> transport, Map hello) {
  SessionOptions options;
  options.side = Side::kDialler;
  options.max_streams = 65'536;  // the controller opens one for each job of a fan-out
  options.now = BootClock::now();
  has_hello_ = false;
  driver_ = std::make_shared<net::SessionDriver>(executor_, std::move(transport), options);
  driver_->session().send_hello(std::move(hello));
  driver_->start(*this);
}

net::Task<Result<Map>> Remote::greeted() {
  while (!has_hello_ && alive()) co_await hello_came_.wait();
  if (!has_hello_) co_return std::unexpected(end_);
  co_return hello_;
}

net::Task<Result<Map>> Remote::call(std::string verb, Map args) {
  if (!alive()) co_return std::unexpected(end_);
  auto pending = std::make_shared<Call>(executor_);
  const RequestId id = session().request(verb, std::move(args));
  calls_[id] = pending;
  flush();
  co_await pending->done.wait();
  co_return std::move(pending->result);
}

StreamId Remote::open(std::string_view kind, Map args, StreamHandler& stream_handler) {
  check(alive(), "streams are opened on a session that lives");
  const StreamId id = session().open(kind, std::move(args));
  streams_[id] = &stream_handler;
  flush();
  return id;
}

StreamHandler* Remote::handler(StreamId stream) {
  const auto at = streams_.find(stream);
  return at == streams_.end() ? nullptr : at->second;
}

void Remote::close(const Error& reason) {
  if (!driver_) return;
  const auto driver = driver_;
  parting_ = driver;
  driver->session().close(reason);
  driver->flush();
}

bool Remote::is_parting() const {
  const auto driver = parting_.lock();
  return driver && !driver->is_over();
}

// A controller that does not take the certificate says so below the session: no other try mends it.
Error Remote::in_words(Error error) const {
  if (error.code != Code::kLinkLost) return error;
  if (driver_->transport().failure_kind() == net::Failure::kRefused)
    return {Code::kNotSignedIn, error.message, "sign in again: rexec login rx1_…"};
  if (error.hint.empty()) error.hint = "try again; which step fails: rexec doctor";
  return error;
}

void Remote::ended(const Error& error) {
  end_ = error;
  driver_.reset();
  const auto streams = std::exchange(streams_, {});
  for (const auto& [id, stream] : streams) stream->on_reset(error);
  const auto calls = std::exchange(calls_, {});
  for (const auto& [id, call] : calls) {
    call->result = std::unexpected(error);
    call->done.notify();
  }
  hello_came_.notify();
  if (on_closed) on_closed(error);
}

// What cannot be read costs its own stream alone.
void Remote::drop(StreamId stream, const Error& error) {
  StreamHandler* to = handler(stream);
  streams_.erase(stream);
  session().reset(stream, error);
  if (to != nullptr) to->on_reset(error);
}

void Remote::on_event(Event event) {
  if (auto* data = std::get_if<event::Data>(&event)) {
    if (auto* to = handler(data->stream)) to->on_data(data->channel, data->frame.payload());
  } else if (auto* message = std::get_if<event::Event>(&event)) {
    auto map = parse_map(message->frame.payload());
    if (!map) return drop(message->stream, map.error());
    if (auto* to = handler(message->stream)) to->on_event(*map);
  } else if (auto* credit = std::get_if<event::Credit>(&event)) {
    if (auto* to = handler(credit->stream)) to->on_credit(credit->limit);
  } else if (auto* end = std::get_if<event::Ended>(&event)) {
    if (auto* to = handler(end->stream)) to->on_end();
  } else if (auto* reset = std::get_if<event::Reset>(&event)) {
    StreamHandler* to = handler(reset->stream);
    streams_.erase(reset->stream);
    if (to != nullptr) to->on_reset(reset->error);
  } else if (auto* response = std::get_if<event::Response>(&event)) {
    const auto at = calls_.find(response->id);
    if (at == calls_.end()) return;
    const auto call = at->second;
    calls_.erase(at);
    call->result = std::move(response->result);
    call->done.notify();
  } else if (auto* opened = std::get_if<event::Opened>(&event)) {
    StreamHandler* to = on_open ? on_open(opened->stream, opened->kind, opened->args) : nullptr;
    if (to == nullptr)
      return session().reset(opened->stream, {Code::kProtocol, "unexpected stream", {}});
    streams_[opened->stream] = to;
  } else if (auto* hello = std::get_if<event::Hello>(&event)) {
    hello_ = std::move(hello->map);
    has_hello_ = true;
    hello_came_.notify();
  } else if (auto* closed = std::get_if<event::Closed>(&event)) {
    ended(in_words(std::move(closed->error)));
  }
}

}  // namespace rexec::client
