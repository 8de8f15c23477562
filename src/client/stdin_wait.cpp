#include "src/client/stdin_wait.hpp"

#include <algorithm>

namespace rexec::client {

void StdinWait::look(std::span<const Taken> taken, bool full, BootTime now) {
  const auto [least, most] = std::ranges::minmax_element(taken, {}, &Taken::bytes);
  if (!full || taken.empty() || least->bytes == most->bytes) return since_.reset();
  if (!since_ || least->bytes != least_) since_ = now;
  least_ = least->bytes;
}

std::optional<Millis> StdinWait::left(BootTime now) const {
  if (!since_ || told_) return std::nullopt;
  return std::max(std::chrono::ceil<Millis>(*since_ + kStdinStill - now), Millis{0});
}

std::vector<std::size_t> StdinWait::slowest(std::span<const Taken> taken, BootTime now) {
  std::vector<std::size_t> jobs;
  if (left(now) != Millis{0}) return jobs;
  for (const Taken& one : taken)
    if (one.bytes <= least_) jobs.push_back(one.job);
  told_ = !jobs.empty();
  return jobs;
}

}  // namespace rexec::client
