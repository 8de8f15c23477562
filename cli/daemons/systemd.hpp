// The agent and the controller as units of systemd: written and started by `join` and by
// `controller install`, as root. No library: a file and systemctl as a child, without a shell.
#pragma once

#include <string>

#include "src/base/error.hpp"

namespace rexec::cli {

// systemd is this machine's init.
bool has_systemd();
// Writes rexec-agent.service for this binary and directory, enables and starts it, and waits until
// the agent is online. kIo with what systemctl said; kTimeout.
Result<void> start_agent_unit(const std::string& data);
// The same for rexec-controller.service; until it runs and holds its directory.
Result<void> start_controller_unit(const std::string& data);
// The units' texts: pure, for the test.
std::string agent_unit(const std::string& binary, const std::string& data);
std::string controller_unit(const std::string& binary, const std::string& data);

}  // namespace rexec::cli
