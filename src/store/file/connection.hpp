// Opening the database file the one way rexec does: WAL, every commit synced, the file locked for
// as long as it is open, checked before it is believed. Internal; the engine and backup.cpp call
// it.
#pragma once

#include <memory>
#include <string>

#include "src/store/database/database.hpp"

namespace rexec::store {

// Opens `<directory>/controller.db` for the one writer, checks it (indexes too unless it is
// large) and migrates it. The caller holds the DataLock.
Result<std::unique_ptr<Database>> open_database(const std::string& directory, OpenMode mode);
// Ours while no controller runs, or a copy of it: no pragmas, no migration.
Result<std::unique_ptr<Database>> open_plain(const std::string& path);
// A file that is only read and that nobody writes, as it is: no journal that lies beside it.
Result<std::unique_ptr<Database>> open_unchanging(const std::string& path);
// kStore with SQLite's first complaint. kFull reads indexes too.
enum class Depth { kQuick, kFull };
Result<void> check_integrity(Database& db, Depth depth);

}  // namespace rexec::store
