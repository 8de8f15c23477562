// Which nodes of a run on several are away: each absence is told once, and only when it lasts.
#pragma once

#include <functional>
#include <map>
#include <set>

#include "src/net/task.hpp"

namespace rexec::cli {

class NodeNews {
 public:
  explicit NodeNews(const net::Executor& executor) : executor_(executor) {}

  // Calls `tell` unless the node is back by then.
  void left(std::size_t job, Millis after, std::function<void()> tell) {
    away_.try_emplace(job, executor_).first->second.arm(after, [this, job, tell = std::move(tell)] {
      told_.insert(job);
      tell();
    });
  }
  // True when its absence was told.
  bool came(std::size_t job) {
    away_.erase(job);
    return told_.erase(job) > 0;
  }
  bool is_away(std::size_t job) const { return away_.contains(job); }
  void cancel() {
    for (auto& [job, timer] : away_) timer.cancel();
  }

 private:
  net::Executor executor_;
  std::map<std::size_t, net::Timer> away_;
  std::set<std::size_t> told_;
};

}  // namespace rexec::cli
