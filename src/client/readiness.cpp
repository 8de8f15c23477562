#include "src/client/readiness.hpp"

#include <sys/epoll.h>
#include <unistd.h>

namespace rexec::client {

bool Readiness::watch(int fd, For what) {
  const int own = ::epoll_create1(EPOLL_CLOEXEC);
  if (own < 0) return false;
  epoll_event interest{};
  interest.events = what == For::kRead ? EPOLLIN : EPOLLOUT;
  asio::error_code error;
  if (::epoll_ctl(own, EPOLL_CTL_ADD, fd, &interest) == 0) epoll_.assign(own, error);
  const bool watched = epoll_.is_open();
  if (!watched) ::close(own);
  return watched;
}

}  // namespace rexec::client
