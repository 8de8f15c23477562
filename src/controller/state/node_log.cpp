#include "src/controller/state/node_log.hpp"

namespace rexec::controller {

bool NodeLog::say(LogLevel level, NodeNews kind, const NodeId& node, std::string_view message,
                  std::initializer_list<LogField> fields) {
  const auto unsaid = limits_[node][static_cast<std::size_t>(kind)].admit(BootClock::now());
  if (!unsaid) return false;
  if (*unsaid > 0)
    log_line(level, "lines like the next were left out",
             {{"node", node.text}, {"count", std::to_string(*unsaid)}});
  log_line(level, message, fields);
  return true;
}

}  // namespace rexec::controller
