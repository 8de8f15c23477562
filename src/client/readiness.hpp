// Readiness of a descriptor that others share (the user's terminal, a parent's socket), waited for
// with Asio through an epoll descriptor of our own: Asio makes what it watches non-blocking, and
// that flag belongs to everybody who has the same open file, the user's shell included.
#pragma once

#include <utility>

#include "src/net/task.hpp"

namespace rexec::client {

class Readiness {
 public:
  enum class For { kRead, kWrite };

  explicit Readiness(const net::Executor& executor) : epoll_(executor) {}

  // Borrows `fd`. False when it cannot be polled: regular files and /dev/null, which never block.
  bool watch(int fd, For what);
  // Calls `handler(error_code)` once `fd` is ready or has failed. After a successful watch() only;
  // one wait at a time.
  template <class Handler>
  void wait(Handler handler) {
    epoll_.async_wait(asio::posix::stream_descriptor::wait_read, std::move(handler));
  }

 private:
  asio::posix::stream_descriptor epoll_;
};

}  // namespace rexec::client
