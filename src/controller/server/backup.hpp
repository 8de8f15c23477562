// One file that a bare machine can be a controller from again: the database with, in a table of
// their own, the CA's and the tickets' key and controller.toml. Made by the running controller when
// there is one, because it alone may look at the database; put back only where none runs. Called by
// cli/daemons/controller_backup.cpp; the copying itself is src/store/file/backup.
#pragma once

#include <string>
#include <vector>

#include "src/base/error.hpp"
#include "src/store/file/backup.hpp"
#include "src/wire/maps.hpp"

namespace rexec::controller {

// What stands beside the database and cannot be made anew. The controller's own certificate can.
Result<std::vector<store::BackupFile>> files_to_keep(const std::string& data_dir);

// A question to the controller that runs on the directory, through its local socket; kBusy when it
// does not answer there.
Result<wire::Map> ask_controller(const std::string& data_dir, const wire::Map& question);

// Asks the controller that runs on the directory, else copies by itself. `path` is absolute; an
// older backup there is replaced once the new one is whole. kConfig when the directory is no
// controller's, kConflict when another file is at `path`. {backup, bytes}
Result<wire::Map> backup(const std::string& data_dir, const std::string& path);
// kBusy while a controller runs there; kConflict when the directory is another cluster's; kStore
// when the file is not what backup() wrote. An own controller.toml stays. {data, cluster, former?}
// and what store::Recovery has.
Result<wire::Map> restore(const std::string& data_dir, const std::string& path);

}  // namespace rexec::controller
