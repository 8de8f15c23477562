#include "src/client/sink.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

namespace rexec::client {

Sink::Sink(const net::Executor& executor, int fd, std::function<void()> on_change)
    : readiness_(executor), on_change_(std::move(on_change)), fd_(fd) {
  struct stat info{};
  if (::fstat(fd, &info) != 0) {
    fail_with(errno);
    return;
  }
  if (S_ISSOCK(info.st_mode)) {
    kind_ = Kind::kSocket;
  } else if (S_ISFIFO(info.st_mode) || ::isatty(fd) == 1) {
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    own_ = ::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    kind_ = own_ >= 0 ? Kind::kOwnDescription : Kind::kPolled;
    if (own_ >= 0) fd_ = own_;
  }
  if (kind_ != Kind::kBlocking) static_cast<void>(readiness_.watch(fd_, Readiness::For::kWrite));
}

Sink::~Sink() {
  *alive_ = false;
  if (own_ >= 0) ::close(own_);
}

void Sink::fail_with(int error) {
  closed_ = true;
  failure_ = error;
  pending_.clear();
  pending_bytes_ = 0;
}

// As much as goes without blocking; -1 with errno as write(2).
ssize_t Sink::put(ByteSpan bytes) const {
  switch (kind_) {
    case Kind::kSocket:
      return ::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    case Kind::kPolled: {
      // Not ours to make non-blocking: a writable pipe takes at least PIPE_BUF bytes at once.
      pollfd ready{fd_, POLLOUT, 0};
      if (::poll(&ready, 1, 0) == 0) {
        errno = EAGAIN;
        return -1;
      }
      return ::write(fd_, bytes.data(), std::min<std::size_t>(bytes.size(), 4096));
    }
    case Kind::kBlocking:
    case Kind::kOwnDescription:
      return ::write(fd_, bytes.data(), bytes.size());
  }
  return -1;
}

std::size_t Sink::write_now(ByteSpan bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = put(bytes.subspan(done));
    if (n >= 0) {
      done += static_cast<std::size_t>(n);
    } else if (errno == EINTR) {
      continue;
    } else if (errno == EAGAIN) {
      break;
    } else {
      fail_with(errno);
      return bytes.size();
    }
  }
  return done;
}

void Sink::write(ByteSpan bytes) {
  if (closed_ || bytes.empty()) return;
  const bool was_closed = closed_;
  const std::size_t done = pending_.empty() ? write_now(bytes) : 0;
  if (closed_ != was_closed) {
    if (on_change_) on_change_();
    return;
  }
  if (done == bytes.size()) return;
  pending_.emplace_back(bytes.subspan(done));
  pending_bytes_ += bytes.size() - done;
  wait();
}

void Sink::wait() {
  if (waiting_ || closed_) return;
  waiting_ = true;
  readiness_.wait([this, alive = alive_](const asio::error_code& error) {
    if (!*alive) return;
    waiting_ = false;
    if (error) fail_with(EIO);
    drain();
  });
}

void Sink::drain() {
  while (!pending_.empty() && !closed_) {
    Buffer& front = pending_.front();
    const std::size_t done = write_now(front);
    if (closed_) break;
    front.consume(done);
    pending_bytes_ -= done;
    if (!front.empty()) {
      wait();
      break;
    }
    pending_.pop_front();
  }
  if (on_change_) on_change_();
}

}  // namespace rexec::client
