// What nodes make the controller log: of each node and kind a few lines, then one a minute, with
// the number of those that were left out. A node that lies, or comes and goes, fills nobody's disk.
#pragma once

#include <array>
#include <initializer_list>
#include <unordered_map>

#include "src/base/ids.hpp"
#include "src/base/log.hpp"
#include "src/base/log_limit.hpp"

namespace rexec::controller {

enum class NodeNews {
  kOnline,
  kOffline,
  kDuplicate,   // a second machine with its identity
  kForeignJob,  // it reports a job that is not its own
  kUnreadable,  // it says something that is no report, record or event
  kSchedules,   // it does not take or tell schedules
  kStops,       // it cannot stop a job now
  kStranger,    // nobody yet: a token that lets nobody in
  kCount
};

class NodeLog {
 public:
  // False when it was left out.
  bool say(LogLevel level, NodeNews kind, const NodeId& node, std::string_view message,
           std::initializer_list<LogField> fields);
  void forget(const NodeId& node) { limits_.erase(node); }

 private:
  using Limits = std::array<LogLimit, static_cast<std::size_t>(NodeNews::kCount)>;
  std::unordered_map<NodeId, Limits> limits_;
};

}  // namespace rexec::controller
