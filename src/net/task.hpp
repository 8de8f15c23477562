// Task is what a coroutine of rexec returns; spawn() starts one that has an owner; Notifier is how
// a coroutine waits for an event of the same thread. Nothing here races two awaitables: a deadline
// is a Timer that closes what is waited for.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <utility>

#include "src/base/clock.hpp"
#include "src/net/asio.hpp"

namespace rexec::net {

template <class T = void>
using Task = asio::awaitable<T>;
using Executor = asio::any_io_executor;

// Runs the task; an exception that escapes it leaves io_context::run(). The caller sees to it that
// what the task refers to outlives it.
inline void spawn(const Executor& executor, Task<> task) {
  asio::co_spawn(executor, std::move(task), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
}

// A condition of one thread: wait() returns after the next notify(), or at once if one came since
// the last wait.
class Notifier {
 public:
  explicit Notifier(const Executor& executor)
      : timer_(executor, asio::steady_timer::time_point::max()) {}
  void notify() {
    raised_ = true;
    timer_.cancel();
  }
  // False when `limit` passed without a notification.
  Task<bool> wait_for(Millis limit) {
    if (!raised_) {
      timer_.expires_after(limit);
      asio::error_code ignored;
      co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    co_return std::exchange(raised_, false);
  }
  Task<> wait() {
    while (!raised_) {
      timer_.expires_at(asio::steady_timer::time_point::max());
      asio::error_code ignored;
      co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    raised_ = false;
  }

 private:
  asio::steady_timer timer_;
  bool raised_ = false;
};

inline Task<> sleep_for_real(Millis duration) {
  asio::steady_timer timer(co_await asio::this_coro::executor, duration);
  asio::error_code ignored;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

// A descriptor that somebody else owns and closes, to wait for its readiness.
class BorrowedDescriptor : public asio::posix::stream_descriptor {
 public:
  BorrowedDescriptor(const Executor& executor, int fd)
      : asio::posix::stream_descriptor(executor, fd) {}
  ~BorrowedDescriptor() {
    if (is_open()) release();
  }
};

// Calls a function after a while unless it is destroyed, cancelled or armed again, also when its
// time has come already and the call waits in the reactor. Owner and timer live on one thread.
class Timer {
 public:
  explicit Timer(const Executor& executor) : timer_(executor) {}
  ~Timer() { ++*generation_; }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  template <class F>
  void arm(Millis after, F action) {
    const std::uint64_t mine = ++*generation_;
    timer_.expires_after(after);
    timer_.async_wait([generation = generation_, mine,
                       action = std::move(action)](const asio::error_code& error) mutable {
      if (!error && *generation == mine) action();
    });
  }
  void cancel() {
    ++*generation_;
    timer_.cancel();
  }

 private:
  asio::steady_timer timer_;
  std::shared_ptr<std::uint64_t> generation_ = std::make_shared<std::uint64_t>(0);
};

}  // namespace rexec::net
