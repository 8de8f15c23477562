// Copies of the database: taken under load through SQLite's backup API, put back only after they
// were checked. Keys and certificates beside the database are the controller's to copy.
#pragma once

#include <string>

#include "src/store/database.hpp"

namespace rexec::store {

// Writes a consistent copy: temporary beside `path`, synced, renamed, 0600. Not inside an
// operation: SQLite refuses to copy from a connection that is writing. Use Store::backup.
Result<void> backup_to(Database& db, const std::string& path);
// kStore unless the file is a rexec database of a schema this binary knows, whole (integrity_check)
// and with a chain that verifies.
Result<void> check_backup(const std::string& path);
// Puts the copy in place of the data directory's database, which is kept as
// `controller.db.before-restore`. kBusy while a controller runs there.
Result<void> restore_from(const std::string& backup, const std::string& data_directory);

}  // namespace rexec::store
