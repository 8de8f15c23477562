// Looking into what the nodes say of the controller's database: which of them saw more of it than
// it has. Called by cli/daemons/controller_check.cpp, on the controller's machine; the running
// controller is asked through its local socket, because the nodes speak to it alone.
#pragma once

#include <string>

#include "src/base/error.hpp"
#include "src/wire/maps.hpp"

namespace rexec::controller {

// {old_database: [{node, why, at, count}]}; kControllerDown when none runs there.
Result<wire::Map> check(const std::string& data_dir);
// Somebody looked into all of these: they are not told again. {accepted}
Result<wire::Map> accept_old_database(const std::string& data_dir);

}  // namespace rexec::controller
