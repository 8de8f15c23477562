#include "src/controller/state/router.hpp"

#include "src/base/fail_point.hpp"

namespace rexec::controller {

namespace event = wire::event;

void Router::link(Router& a, wire::StreamId stream_a, Router& b, wire::StreamId stream_b,
                  Options options) {
  a.links_[stream_a] = {&b, stream_b, false, std::move(options.refused), std::move(options.kept)};
  b.links_[stream_b] = {&a, stream_a};
}

void Router::unlink(wire::StreamId stream) {
  const auto at = links_.find(stream);
  if (at == links_.end()) return;
  at->second.router->links_.erase(at->second.stream);
  links_.erase(at);
}

template <class Action>
static bool pass_on(std::shared_ptr<net::SessionDriver>& driver, wire::StreamId stream,
                    Action action) {
  action(driver->session(), stream);
  driver->flush_soon();
  return true;
}

bool Router::forward(wire::Event& event) {
  const auto find = [&](wire::StreamId stream) {
    const auto at = links_.find(stream);
    return at == links_.end() ? nullptr : &at->second;
  };
  if (auto* data = std::get_if<event::Data>(&event)) {
    Link* to = find(data->stream);
    if (to == nullptr) return false;
    pass_on(to->router->driver_, to->stream,
            [&](auto& s, auto id) { s.relay(id, std::move(data->frame)); });
    fail_point(FailPoint::kControllerOutputRelayed);
    return true;
  }
  if (auto* message = std::get_if<event::Event>(&event)) {
    Link* to = find(message->stream);
    return to != nullptr && pass_on(to->router->driver_, to->stream, [&](auto& s, auto id) {
             s.relay(id, std::move(message->frame));
           });
  }
  if (auto* signal = std::get_if<event::Signal>(&event)) {
    Link* to = find(signal->stream);
    return to != nullptr && pass_on(to->router->driver_, to->stream, [&](auto& s, auto id) {
             s.relay(id, std::move(signal->frame));
           });
  }
  if (auto* credit = std::get_if<event::Credit>(&event)) {
    Link* to = find(credit->stream);
    return to != nullptr && pass_on(to->router->driver_, to->stream,
                                    [&](auto& s, auto id) { s.grant(id, credit->limit); });
  }
  if (auto* end = std::get_if<event::Ended>(&event)) {
    Link* to = find(end->stream);
    if (to == nullptr) return false;
    pass_on(to->router->driver_, to->stream, [](auto& s, auto id) { s.end(id); });
    to->ended_here = true;
    Link* back = &to->router->links_.at(to->stream);
    if (back->ended_here) unlink(end->stream);
    return true;
  }
  if (auto* reset = std::get_if<event::Reset>(&event)) {
    Link* to = find(reset->stream);
    if (to == nullptr) return false;
    const Link other = *to;
    unlink(reset->stream);
    if (other.refused && other.refused(reset->error)) return true;
    return pass_on(other.router->driver_, other.stream,
                   [&](auto& s, auto id) { s.reset(id, reset->error); });
  }
  return false;
}

void Router::drop_all(const Error& error) {
  while (!links_.empty()) {
    const auto [stream, to] = *links_.begin();
    pass_on(to.router->driver_, to.stream, [&](auto& s, auto id) { s.reset(id, error); });
    unlink(stream);
  }
}

}  // namespace rexec::controller
