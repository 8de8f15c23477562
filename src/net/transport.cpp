#include "src/net/transport.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace rexec::net {

PlainTransport::PlainTransport(int fd) : fd_(fd) {
  ::fcntl(fd_, F_SETFL, ::fcntl(fd_, F_GETFL) | O_NONBLOCK);
}

PlainTransport::~PlainTransport() { ::close(fd_); }

IoResult PlainTransport::read(MutableBytes to) {
  const ssize_t n = ::recv(fd_, to.data(), to.size(), 0);
  const auto size = static_cast<std::size_t>(n);
  if (n > 0) return {Io::kDone, size, size < to.size()};
  if (n == 0) return {Io::kEof, 0};
  if (errno == EAGAIN || errno == EINTR) return {Io::kWantRead, 0};
  failure_ = std::string("the kept connection broke: ") + std::strerror(errno);
  return {Io::kFailed, 0};
}

IoResult PlainTransport::write(ByteSpan from) {
  const ssize_t n = ::send(fd_, from.data(), from.size(), MSG_NOSIGNAL);
  if (n >= 0) return {Io::kDone, static_cast<std::size_t>(n)};
  if (errno == EAGAIN || errno == EINTR) return {Io::kWantWrite, 0};
  failure_ = std::string("the kept connection broke: ") + std::strerror(errno);
  return {Io::kFailed, 0};
}

void PlainTransport::shutdown() { ::shutdown(fd_, SHUT_WR); }

}  // namespace rexec::net
