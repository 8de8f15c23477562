// SOCK_SEQPACKET with SCM_RIGHTS. See seqpacket.hpp.
#include "src/os/seqpacket.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "src/base/check.hpp"

namespace rexec::os {
namespace {

Result<UniqueFd> new_socket() {
  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno("socket", errno);
  return fd;
}

// sun_path holds 108 bytes; a job's directory may be deeper, its descriptor's name never is.
Result<sockaddr_un> address_in(int directory_fd, const char* name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = "/proc/self/fd/" + std::to_string(directory_fd) + "/" + name;
  if (path.size() >= sizeof(address.sun_path)) return fail(Code::kIo, "socket name too long");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

std::vector<UniqueFd> take_fds(msghdr& header) {
  std::vector<UniqueFd> fds;
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
      fds.emplace_back(fd);
    }
  }
  return fds;
}

}  // namespace

Result<std::pair<UniqueFd, UniqueFd>> make_seqpacket_pair(Blocking mode) {
  int ends[2];
  const int type = SOCK_SEQPACKET | SOCK_CLOEXEC | (mode == Blocking::kNo ? SOCK_NONBLOCK : 0);
  if (::socketpair(AF_UNIX, type, 0, ends) != 0) return fail_errno("socketpair", errno);
  return std::pair{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

IoStatus send_message(int socket, ByteSpan message, std::span<const int> fds) {
  check(message.size() <= kMaxMessage && fds.size() <= kMaxFds, "message within limits");
  iovec part{const_cast<std::uint8_t*>(message.data()), message.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)];
  if (!fds.empty()) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(fds.size_bytes());
    std::memset(control, 0, header.msg_controllen);
    cmsghdr* c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(c), fds.data(), fds.size_bytes());
  }
  while (::sendmsg(socket, &header, MSG_NOSIGNAL) < 0) {
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == ETOOMANYREFS || errno == ENOBUFS) return IoStatus::kAgain;
    if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN) return IoStatus::kClosed;
    return IoStatus::kFailed;
  }
  return IoStatus::kDone;
}

Received receive_message(int socket, MutableBytes into) {
  Received result;
  iovec part{into.data(), into.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)];
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  ssize_t n = -1;
  // A reset is reported before what is queued; reported once, the queue can be read.
  for (int resets = 0; n < 0;) {
    n = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
    if (n >= 0 || errno == EINTR) continue;
    if (errno == ECONNRESET && resets++ == 0) continue;
    result.error = errno;
    result.status = errno == EAGAIN       ? IoStatus::kAgain
                    : errno == ECONNRESET ? IoStatus::kClosed
                                          : IoStatus::kFailed;
    return result;
  }
  result.fds = take_fds(header);
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    result.fds.clear();
    result.error = EMSGSIZE;
    return result;
  }
  result.size = static_cast<std::size_t>(n);
  // Our messages are never empty, so no bytes means the end.
  result.status = n == 0 ? IoStatus::kClosed : IoStatus::kDone;
  return result;
}

Result<UniqueFd> listen_seqpacket(int directory_fd, const char* name) {
  auto socket = new_socket();
  if (!socket) return socket;
  auto address = address_in(directory_fd, name);
  if (!address) return std::unexpected(address.error());
  ::unlinkat(directory_fd, name, 0);
  const auto* generic = reinterpret_cast<const sockaddr*>(&*address);
  if (::bind(socket->get(), generic, sizeof(*address)) != 0) return fail_errno("bind", errno);
  if (::listen(socket->get(), 16) != 0) return fail_errno("listen", errno);
  return socket;
}

Result<UniqueFd> connect_seqpacket(int directory_fd, const char* name) {
  auto socket = new_socket();
  if (!socket) return socket;
  auto address = address_in(directory_fd, name);
  if (!address) return std::unexpected(address.error());
  const auto* generic = reinterpret_cast<const sockaddr*>(&*address);
  if (::connect(socket->get(), generic, sizeof(*address)) != 0) return fail_errno("connect", errno);
  return socket;
}

Result<PeerCredentials> peer_credentials(int socket) {
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
    return fail_errno("SO_PEERCRED", errno);
  return PeerCredentials{credentials.pid, credentials.uid};
}

}  // namespace rexec::os
