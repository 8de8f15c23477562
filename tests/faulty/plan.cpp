// Reading REXEC_FAIL. See plan.hpp.
#include "tests/faulty/plan.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

namespace rexec::faulty {
namespace {

constexpr Point kTable[kPoints] = {
#define REXEC_FAIL_ROW(constant, name, meaning) {name, meaning},
    REXEC_FAIL_POINTS(REXEC_FAIL_ROW)
#undef REXEC_FAIL_ROW
};

constexpr std::pair<std::string_view, int> kErrors[] = {
    {"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EROFS", EROFS},
    {"EMFILE", EMFILE}, {"ENFILE", ENFILE}, {"EFBIG", EFBIG},
};

[[noreturn]] void cannot_read(std::string_view part, const char* why) {
  std::fprintf(stderr, "REXEC_FAIL: \"%.*s\": %s\n", static_cast<int>(part.size()), part.data(),
               why);
  std::_Exit(99);
}

// Takes what follows the mark off the text.
std::string_view cut(std::string_view& text, char mark) {
  const std::size_t at = text.find(mark);
  if (at == text.npos) return {};
  const std::string_view after = text.substr(at + 1);
  text = text.substr(0, at);
  return after;
}

FailPoint find_point(std::string_view name) {
  for (std::size_t i = 0; i < kPoints; ++i)
    if (kTable[i].name == name) return static_cast<FailPoint>(i);
  cannot_read(name, "no such point; see: rexec-faulty fail-points");
}

int find_errno(std::string_view name) {
  for (const auto& [known, value] : kErrors)
    if (known == name) return value;
  cannot_read(name, "no such errno here");
}

Order read_order(std::string_view part) {
  const std::string_view whole = part;
  Order order;
  std::string_view action = cut(part, '=');
  order.role = cut(part, '/');
  order.point = find_point(part);
  order.is_once = cut(action, '+') == "once";
  if (const std::string_view at = cut(action, '@'); !at.empty())
    order.at = static_cast<unsigned>(std::atoi(std::string(at).c_str()));
  const std::string_view argument = cut(action, ':');
  if (action == "kill" || action == "stop") {
    order.action = action == "kill" ? Action::kKill : Action::kStop;
    order.is_once = true;
  } else if (action == "delay") {
    order.action = Action::kDelay;
    order.argument = std::atoi(std::string(argument).c_str());
  } else if (action == "error") {
    order.action = Action::kError;
    order.argument = find_errno(argument);
  } else {
    cannot_read(whole, "no such action");
  }
  return order;
}

}  // namespace

const Point& describe(std::size_t index) { return kTable[index]; }

std::vector<Order> read_orders(const char* text) {
  std::vector<Order> orders;
  std::string_view rest = text == nullptr ? "" : text;
  while (!rest.empty()) {
    std::string_view part = rest;
    rest = cut(part, ';');
    if (!part.empty()) orders.push_back(read_order(part));
  }
  return orders;
}

std::string role_of_process() {
  char name[17] = {};
  ::prctl(PR_GET_NAME, name, 0, 0, 0);
  if (std::strcmp(name, "rexec-shim") == 0) return "shim";
  char line[256] = {};
  const int fd = ::open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
  const ssize_t n = fd < 0 ? 0 : ::read(fd, line, sizeof line - 1);
  if (fd >= 0) ::close(fd);
  const std::string_view words(line, n > 0 ? static_cast<std::size_t>(n) : 0);
  const std::size_t first = words.find('\0');
  const std::string_view verb = first == words.npos ? "" : words.data() + first + 1;
  if (verb == "controller") return "controller";
  if (verb == "agent") return "spawner";
  return verb == "agent-net" ? "net" : "client";
}

}  // namespace rexec::faulty
