// The event loop of spawner and shim: epoll with one timerfd on CLOCK_BOOTTIME and callbacks.
// Single-threaded; nothing else waits. Not for net, which has Asio.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "src/base/clock.hpp"
#include "src/os/fd.hpp"

namespace rexec::os {

class EventLoop {
 public:
  using Handler = std::function<void(std::uint32_t events)>;
  using Task = std::function<void()>;
  // Never reused within one loop; 0 is none.
  using Token = std::uint64_t;

  EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Level-triggered. The loop does not own fd: forget() before it is closed. EPOLLHUP and EPOLLERR
  // always come.
  Token watch(int fd, std::uint32_t events, Handler handler);
  void change(Token token, std::uint32_t events);
  // Safe inside any handler, also its own; events already fetched for the token are not delivered.
  // 0 is ignored.
  void forget(Token& token);

  // Once, `delay` from now. Safe to cancel inside any handler; 0 is ignored.
  Token after(Nanos delay, Task task);
  void cancel(Token& timer);

  // Until stop().
  void run();
  void stop() { running_ = false; }
  // Waits at most `limit` for one batch of events and handles it.
  void run_once(Millis limit);

 private:
  struct Watch {
    int fd;
    std::uint32_t events;
    std::shared_ptr<Handler> handler;
  };
  void arm_timer();
  void fire_timers();

  UniqueFd epoll_;
  UniqueFd timer_;
  bool running_ = false;
  Token next_ = 1;
  std::map<Token, Watch> watches_;
  std::map<std::pair<BootTime, Token>, Task> timers_;
  std::map<Token, BootTime> deadlines_;
};

}  // namespace rexec::os
