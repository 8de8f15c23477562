// The event loop. See epoll.hpp.
#include "src/os/epoll.hpp"

#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "src/base/check.hpp"

namespace rexec::os {
namespace {
constexpr std::uint64_t kTimerData = 0;  // tokens begin at 1
}

EventLoop::EventLoop()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      timer_(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK)) {
  check(static_cast<bool>(epoll_) && static_cast<bool>(timer_), "epoll and timerfd");
  epoll_event event{.events = EPOLLIN, .data = {.u64 = kTimerData}};
  check(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, timer_.get(), &event) == 0, "epoll_ctl timer");
}

EventLoop::Token EventLoop::watch(int fd, std::uint32_t events, Handler handler) {
  const Token token = next_++;
  epoll_event event{.events = events, .data = {.u64 = token}};
  check(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl add");
  watches_.emplace(token, Watch{fd, events, std::make_shared<Handler>(std::move(handler))});
  return token;
}

void EventLoop::change(Token token, std::uint32_t events) {
  const auto found = watches_.find(token);
  if (found == watches_.end() || found->second.events == events) return;
  found->second.events = events;
  epoll_event event{.events = events, .data = {.u64 = token}};
  check(::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, found->second.fd, &event) == 0, "epoll_ctl mod");
}

void EventLoop::forget(Token& token) {
  const auto found = watches_.find(std::exchange(token, 0));
  if (found == watches_.end()) return;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second.fd, nullptr);
  watches_.erase(found);
}

EventLoop::Token EventLoop::after(Nanos delay, Task task) {
  const Token token = next_++;
  const BootTime deadline = BootClock::now() + delay;
  timers_.emplace(std::pair{deadline, token}, std::move(task));
  deadlines_.emplace(token, deadline);
  arm_timer();
  return token;
}

void EventLoop::cancel(Token& timer) {
  const auto found = deadlines_.find(std::exchange(timer, 0));
  if (found == deadlines_.end()) return;
  timers_.erase({found->second, found->first});
  deadlines_.erase(found);
  arm_timer();
}

void EventLoop::arm_timer() {
  itimerspec spec{};
  if (!timers_.empty()) {
    const Nanos at = timers_.begin()->first.first.time_since_epoch();
    spec.it_value.tv_sec = static_cast<time_t>(at.count() / 1'000'000'000);
    spec.it_value.tv_nsec = static_cast<long>(at.count() % 1'000'000'000);
  }
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
}

void EventLoop::fire_timers() {
  std::uint64_t expirations = 0;
  if (::read(timer_.get(), &expirations, sizeof(expirations)) < 0) return;  // it was moved
  const BootTime now = BootClock::now();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    auto entry = timers_.extract(timers_.begin());
    deadlines_.erase(entry.key().second);
    entry.mapped()();
  }
  arm_timer();
}

void EventLoop::run_once(Millis limit) {
  std::array<epoll_event, 16> events;
  const int n = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                             static_cast<int>(limit.count()));
  check(n >= 0 || errno == EINTR, "epoll_wait");
  for (int i = 0; i < n; ++i) {
    // Copied out: epoll_event is packed, nothing may refer into it.
    const epoll_event event = events[static_cast<std::size_t>(i)];
    const Token token = event.data.u64;
    if (token == kTimerData) {
      fire_timers();
      continue;
    }
    const auto found = watches_.find(token);
    if (found == watches_.end()) continue;  // forgotten by a handler before it
    const auto handler = found->second.handler;
    (*handler)(event.events);
  }
}

void EventLoop::run() {
  running_ = true;
  while (running_) run_once(Millis(-1));
}

}  // namespace rexec::os
