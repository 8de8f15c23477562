// The driven fail points of build/rexec-faulty, in the place of src/base/fail_point.cpp. Plain
// system calls only: a point may stand between fork and exec. See plan.hpp for the orders.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>

#include "tests/faulty/plan.hpp"

namespace rexec {
namespace {

using faulty::Action;
using faulty::Order;

// Read before main, when there is one thread; counters by fork are the child's own.
struct State {
  std::vector<Order> orders = faulty::read_orders(std::getenv("REXEC_FAIL"));
  std::string directory = std::getenv("REXEC_FAIL_DIR") ? std::getenv("REXEC_FAIL_DIR") : "";
  std::array<std::atomic<unsigned>, faulty::kPoints> passed{};
};
State state;

std::string mark(const char* kind, FailPoint point) {
  return state.directory + "/" + kind + "." +
         faulty::describe(static_cast<std::size_t>(point)).name;
}

// False when it was there already: somebody else has done it. Readable for all, because net and
// spawner may be different users.
bool leave_mark(const std::string& path, const std::string& text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) return errno != EEXIST;
  ::fchmod(fd, 0666);
  [[maybe_unused]] const ssize_t n = ::write(fd, text.data(), text.size());
  ::close(fd);
  return true;
}

bool counts(const Order& order, FailPoint point, unsigned passing) {
  const bool single = order.action == Action::kKill || order.action == Action::kStop;
  if (order.point != point || (single ? passing != order.at : passing < order.at)) return false;
  return order.role.empty() || order.role == faulty::role_of_process();
}

bool may_fire(const Order& order, FailPoint point) {
  if (state.directory.empty()) return true;
  const std::string text = std::to_string(::getpid()) + " " + faulty::role_of_process() + "\n";
  return leave_mark(mark("fired", point), text) || !order.is_once;
}

void wait_for(int milliseconds) {
  timespec left{milliseconds / 1000, (milliseconds % 1000) * 1'000'000L};
  while (::clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR) {
  }
}

unsigned pass(FailPoint point) {
  const unsigned passing = ++state.passed[static_cast<std::size_t>(point)];
  if (passing == 1 && !state.directory.empty()) {
    const int before = errno;
    leave_mark(mark("reached", point), "");
    errno = before;
  }
  return passing;
}

}  // namespace

void fail_point(FailPoint point) {
  const int before = errno;
  const unsigned passing = pass(point);
  for (const Order& order : state.orders) {
    if (order.action == Action::kError || !counts(order, point, passing)) continue;
    if (!may_fire(order, point)) continue;
    if (order.action == Action::kDelay) wait_for(order.argument);
    if (order.action == Action::kKill) ::kill(::getpid(), SIGKILL);
    if (order.action == Action::kStop) ::kill(::getpid(), SIGSTOP);
  }
  errno = before;
}

int fail_errno_at(FailPoint point) {
  const unsigned passing = pass(point);
  for (const Order& order : state.orders)
    if (order.action == Action::kError && counts(order, point, passing) && may_fire(order, point))
      return order.argument;
  // A point of an error is a moment too.
  for (const Order& order : state.orders)
    if (order.action == Action::kKill && counts(order, point, passing) && may_fire(order, point))
      ::kill(::getpid(), SIGKILL);
  return 0;
}

namespace faulty {
namespace {

// `rexec-faulty fail-points`: the list, one point a line, for the harness.
__attribute__((constructor)) void list_if_asked(int argc, char** argv, char**) {
  if (argc != 2 || std::string_view(argv[1]) != "fail-points") return;
  for (std::size_t i = 0; i < kPoints; ++i)
    std::printf("%s\t%s\n", describe(i).name, describe(i).meaning);
  std::fflush(stdout);
  std::_Exit(0);
}

}  // namespace
}  // namespace faulty
}  // namespace rexec
