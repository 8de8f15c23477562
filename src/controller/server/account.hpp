// Whose the controller's process and its files are. As root it becomes the user `rexec`, or the
// owner of the data directory, before it opens anything; where it cannot it stays root by its uid
// alone, without a capability, and says so. The same as the agent's network process does.
#pragma once

#include <string>

#include "src/base/error.hpp"

namespace rexec::controller {

// As root: the directory and all in it belong to whom the controller will run as. For what makes
// or restores one.
Result<void> give_to_account(const std::string& data_dir);
// In the one thread there is, before the store is opened. What is left is the right to bind the
// port of `listen` where that is below 1024; finish_confinement() ends that too.
Result<void> leave_root(const std::string& data_dir, const std::string& listen);
// Once the port is bound and before there is another thread: no capability, and only the system
// calls of a process that serves a network.
void finish_confinement();

}  // namespace rexec::controller
