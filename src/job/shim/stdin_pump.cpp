// See stdin_pump.hpp.
#include "src/job/shim/stdin_pump.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "src/os/pty.hpp"

namespace rexec::job {

StdinPump::StdinPump(os::EventLoop& loop, std::function<void()> changed)
    : loop_(loop), changed_(std::move(changed)) {}

StdinPump::~StdinPump() { loop_.forget(token_); }

void StdinPump::open(os::UniqueFd fd, Kind kind) {
  fd_ = std::move(fd);
  kind_ = kind;
}

link::StdinAck StdinPump::ack() const {
  return {accepted_, accepted_ - pending_.size() + kStdinWindow};
}

bool StdinPump::data(std::uint64_t offset, ByteSpan bytes) {
  if (offset > accepted_) return false;
  const std::uint64_t known = std::min<std::uint64_t>(accepted_ - offset, bytes.size());
  bytes = bytes.subspan(static_cast<std::size_t>(known));
  if (bytes.empty()) return true;
  if (end_) return true;  // of a reader who does not know; it is never acknowledged
  if (bytes.size() > ack().limit - accepted_) return false;
  accepted_ += bytes.size();
  if (!fd_) return true;
  // Straight into the pipe when nothing waits: no copy is kept.
  if (pending_.empty()) {
    const ssize_t n = ::write(fd_.get(), bytes.data(), bytes.size());
    if (n > 0) bytes = bytes.subspan(static_cast<std::size_t>(n));
    if (n < 0 && errno != EAGAIN && errno != EINTR) close();
  }
  if (!fd_ || bytes.empty()) return true;
  pending_.append(as_text(bytes));
  wait_writable();
  return true;
}

bool StdinPump::end(std::uint64_t offset) {
  if (end_) return true;
  if (offset != accepted_) return false;
  end_ = offset;
  if (pending_.empty()) push_end();
  return true;
}

void StdinPump::wait_writable() {
  if (token_ == 0 && fd_)
    token_ = loop_.watch(fd_.get(), EPOLLOUT, [this](std::uint32_t) { push(); });
}

void StdinPump::push() {
  const ssize_t n = ::write(fd_.get(), pending_.data(), pending_.size());
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n < 0) {
    close();
  } else {
    pending_.erase(0, static_cast<std::size_t>(n));
    if (pending_.empty()) {
      pending_.shrink_to_fit();
      loop_.forget(token_);
      if (end_) push_end();
    }
  }
  changed_();
}

// A pipe is closed; a terminal, which output still needs, gets its end-of-file key.
void StdinPump::push_end() {
  if (!fd_) return;
  if (kind_ == Kind::kPipe) return close();
  const char key = os::eof_character(fd_.get());
  if (::write(fd_.get(), &key, 1) != 1) close();
}

void StdinPump::close() {
  loop_.forget(token_);
  fd_.reset();
  pending_.clear();
  pending_.shrink_to_fit();
}

}  // namespace rexec::job
