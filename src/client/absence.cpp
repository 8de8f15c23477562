#include "src/client/absence.hpp"

#include <algorithm>

namespace rexec::client {

Millis Absences::left(BootTime since, BootTime now) const {
  return std::chrono::ceil<Millis>(since + most_ - now);
}

void Absences::link_broke(BootTime now) {
  if (!link_since_) link_since_ = now;
  for (auto& [job, since] : nodes_) since.reset();
}

Millis Absences::link_left(BootTime now) const {
  return link_since_ ? left(*link_since_, now) : most_ + Millis{1};
}

bool Absences::node_left(std::size_t job, BootTime now) {
  const auto [at, is_news] = nodes_.try_emplace(job);
  if (!at->second) at->second = now;
  return is_news;
}

std::vector<std::size_t> Absences::overdue(BootTime now) const {
  std::vector<std::size_t> jobs;
  for (const auto& [job, since] : nodes_)
    if (since && left(*since, now) <= Millis{0}) jobs.push_back(job);
  return jobs;
}

Millis Absences::until_next(BootTime now, Millis otherwise) const {
  for (const auto& [job, since] : nodes_)
    if (since) otherwise = std::min(otherwise, std::max(left(*since, now), Millis{0}));
  return otherwise;
}

}  // namespace rexec::client
