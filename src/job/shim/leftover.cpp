// See leftover.hpp.
#include "src/job/shim/leftover.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>

#include "src/os/process.hpp"

namespace rexec::job {
namespace {

constexpr int kFirstEnd = 3;

// False: nobody can write any more. A terminal says so with EIO.
bool take(int fd) {
  static char thrown_away[65536];
  const ssize_t n = ::read(fd, thrown_away, sizeof thrown_away);
  return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

[[noreturn]] void read_all(std::vector<os::UniqueFd> ends) {
  ::prctl(PR_SET_NAME, "rexec-left");
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  std::vector<int> fds{null, null, null};
  for (const os::UniqueFd& end : ends) fds.push_back(end.get());
  // Nothing else stays open: neither the job's directory nor a spool that may be removed.
  if (!os::install_descriptors(fds)) ::_exit(1);
  std::vector<pollfd> waiting;
  for (std::size_t i = 0; i < ends.size(); ++i)
    waiting.push_back({kFirstEnd + static_cast<int>(i), POLLIN, 0});
  while (!waiting.empty()) {
    if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) ::_exit(1);
    std::erase_if(waiting, [](const pollfd& one) { return one.revents != 0 && !take(one.fd); });
  }
  ::_exit(0);
}

}  // namespace

void read_what_is_left(std::vector<os::UniqueFd> ends) {
  if (ends.empty()) return;
  const auto child = os::fork_process();
  if (child && child->pid == 0) read_all(std::move(ends));
}

}  // namespace rexec::job
