// Relays attach streams between a client's session and an agent's: frames pass unread, credit
// passes end to end, so a stalled reader holds its own window and nothing else. One Router per
// session; two linked streams name each other.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>

#include "src/net/session_driver.hpp"

namespace rexec::controller {

class Router {
 public:
  explicit Router(std::shared_ptr<net::SessionDriver> driver) : driver_(std::move(driver)) {}
  ~Router() { drop_all({Code::kLinkLost, "the other session ended", {}}); }
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;

  // What becomes of a link whose side `a` refuses it: true when that was dealt with, and the other
  // stream is not reset.
  using Refused = std::function<bool(const Error&)>;
  // Kept until the link is gone.
  using Kept = std::shared_ptr<void>;
  struct Options {
    Refused refused;
    Kept kept;
  };
  static void link(Router& a, wire::StreamId stream_a, Router& b, wire::StreamId stream_b,
                   Options options);
  static void link(Router& a, wire::StreamId stream_a, Router& b, wire::StreamId stream_b) {
    link(a, stream_a, b, stream_b, {});
  }
  // True when the event was about a linked stream and has been passed on.
  bool forward(wire::Event& event);
  // The session is gone: every stream at the other side is reset.
  void drop_all(const Error& error);
  std::size_t size() const { return links_.size(); }
  bool has(wire::StreamId stream) const { return links_.contains(stream); }

 private:
  struct Link {
    Router* router;
    wire::StreamId stream;
    bool ended_here = false;
    Refused refused = {};
    Kept kept = {};
  };
  void unlink(wire::StreamId stream);

  std::shared_ptr<net::SessionDriver> driver_;
  std::unordered_map<wire::StreamId, Link> links_;
};

}  // namespace rexec::controller
