// All rows of all tables against their checksums (sql.hpp), whatever the tables are: for a backup,
// of which nothing was read yet. The running controller compares each row as it reads it. Internal.
#pragma once

#include "src/store/database/database.hpp"

namespace rexec::store {

// Throws OperationError for the first row that fails its checksum.
void check_rows(Database& db);

}  // namespace rexec::store
