// The tables, as numbered migrations. A database of an older schema is copied first and then
// brought up in one transaction, so a kill -9 leaves the old or the new one (FAULTS S12); one of a
// newer schema is refused (S11). Called by open.cpp and backup.cpp.
#pragma once

#include <span>

#include "src/store/database/database.hpp"

namespace rexec::store {

// migrations[n] takes schema n to n + 1. Never edit one that was released: add the next.
std::span<const char* const> all_migrations();

// "rexc": so that another program's database is not taken for ours.
inline constexpr int kApplicationId = 0x72657863;

// The schema's number; 0 for an empty file. kStore when it is newer than `migrations` or of another
// program.
Result<int> check_schema(Database& db, std::span<const char* const> migrations);
// Brings it up to date; what was there is first copied beside it as `<name>.schema-<n>`. kStore on
// any failure.
Result<void> migrate(Database& db, std::span<const char* const> migrations);

}  // namespace rexec::store
