#include "src/client/source.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "src/net/session_driver.hpp"

namespace rexec::client {
namespace {
constexpr std::size_t kRead = 64 << 10;
constexpr std::uint64_t kKeep = 1 << 20;  // as much as one stream's window
// About what a shell needs to show its prompt, and what a program that wants no end can ignore.
constexpr Millis kFirstPress{100};
constexpr Millis kLastPress{10'000};
}  // namespace

Source::Source(const net::Executor& executor, int fd, std::function<void()> on_input)
    : executor_(executor),
      readiness_(executor),
      on_input_(std::move(on_input)),
      fd_(fd),
      is_terminal_(::isatty(fd) == 1),
      next_press_(executor),
      press_after_(kFirstPress) {}

Source::~Source() { *alive_ = false; }

void Source::start() {
  if (::fcntl(fd_, F_GETFD) < 0) return reach_end();  // started with stdin closed
  pollable_ = readiness_.watch(fd_, Readiness::For::kRead);
  wait();
}

bool Source::is_full() const { return end_ - released_ >= kKeep; }

void Source::wait() {
  if (waiting_ || finished_ || ended_ || is_full()) return;
  waiting_ = true;
  const auto go = [this, alive = alive_](const asio::error_code& error) {
    if (!*alive || error) return;
    read_some();
    if (!*alive) return;
    waiting_ = false;
    wait();
  };
  if (pollable_) {
    readiness_.wait(go);
  } else {
    asio::post(executor_, [go] { go({}); });
  }
}

// The caller waits for more input only after this input was sent.
void Source::read_some() {
  std::string bytes;
  ssize_t n = 0;
  bytes.resize_and_overwrite(kRead, [&](char* to, std::size_t size) {
    n = ::read(fd_, to, size);
    return n > 0 ? static_cast<std::size_t>(n) : 0;
  });
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n < 0) return fail_with(errno);
  // A terminal that was closed reads as an end.
  if (n == 0 && is_terminal_ && ::isatty(fd_) != 1) return fail_with(EIO);
  if (n == 0) return reach_end();
  if (filter) filter(bytes);
  if (!bytes.empty()) {
    net::Turn turn;
    keep(std::move(bytes));
    on_input_();
    turn.finish();
  }
}

void Source::fail_with(int error) {
  ended_ = true;
  failure_ = error;
  on_input_();
}

void Source::reach_end() {
  ended_ = true;
  if (end_key_) return press();
  finished_ = true;
  on_input_();
}

void Source::press() {
  keep({*end_key_});
  on_input_();
  wait_to_press();
}

void Source::wait_to_press() {
  next_press_.arm(press_after_, [this] { released_ == end_ ? press() : wait_to_press(); });
  press_after_ = std::min(press_after_ * 2, kLastPress);
}

// Small pieces are gathered: each alone would hold the room of a whole read while it waits.
void Source::keep(std::string bytes) {
  const std::uint64_t at = end_;
  end_ += bytes.size();
  if (!kept_.empty() && kept_.back().second.size() + bytes.size() <= kRead) {
    kept_.back().second += bytes;
    return;
  }
  bytes.shrink_to_fit();
  kept_.emplace_back(at, std::move(bytes));
}

void Source::release(std::uint64_t offset) {
  released_ = std::max(released_, std::min(offset, end_));
  while (!kept_.empty() && kept_.front().first + kept_.front().second.size() <= released_)
    kept_.pop_front();
  wait();
}

ByteSpan Source::at(std::uint64_t offset, std::size_t most) const {
  for (const auto& [start, bytes] : kept_) {
    if (offset < start || offset >= start + bytes.size()) continue;
    return as_bytes(std::string_view(bytes).substr(offset - start, most));
  }
  return {};
}

}  // namespace rexec::client
