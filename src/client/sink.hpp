// Writes to one of the client's own outputs (stdout, stderr, a file) without ever blocking the
// reactor and without changing flags that the user's shell shares: a pipe or terminal is opened
// anew for that. What cannot be written yet is kept; pending() tells how much, and who feeds the
// sink stops granting credit.
#pragma once

#include <deque>
#include <functional>

#include "src/base/bytes.hpp"
#include "src/client/readiness.hpp"

namespace rexec::client {

class Sink {
 public:
  // Borrows `fd`. `on_change` is called on the reactor after pending() fell or the sink was closed.
  Sink(const net::Executor& executor, int fd, std::function<void()> on_change);
  ~Sink();
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;

  void write(ByteSpan bytes);
  std::size_t pending() const { return pending_bytes_; }
  // Nobody reads any more (EPIPE), or the disk is full: what is written is dropped. errno in
  // failure().
  bool closed() const { return closed_; }
  int failure() const { return failure_; }

 private:
  enum class Kind { kBlocking, kSocket, kPolled, kOwnDescription };
  ssize_t put(ByteSpan bytes) const;
  std::size_t write_now(ByteSpan bytes);
  void wait();
  void drain();
  void fail_with(int error);

  Readiness readiness_;
  int own_ = -1;
  std::function<void()> on_change_;
  int fd_;
  Kind kind_ = Kind::kBlocking;
  std::deque<Buffer> pending_;
  std::size_t pending_bytes_ = 0;
  bool waiting_ = false;
  bool closed_ = false;
  int failure_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace rexec::client
