// The users table: people who may sign in. A user may have several certificates (one per machine)
// and one row.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/clock.hpp"
#include "src/base/ids.hpp"
#include "src/store/database/database.hpp"

namespace rexec::store {

enum class UserRole { kUser, kAdmin };
std::string_view user_role_name(UserRole role);           // "user", "admin"
Result<UserRole> parse_user_role(std::string_view name);  // kUsage

struct UserRow {
  UserId id;
  std::string name;  // unique among the users that are not revoked
  UserRole role = UserRole::kUser;
  WallTime created;
  std::optional<WallTime> revoked;
};

std::vector<UserRow> load_users(Database& db);
std::optional<UserRow> find_user(Database& db, const UserId& id);
std::optional<UserRow> find_live_user(Database& db, const std::string& name);
// Rejects with kConflict when a live user has the name.
void insert_user(Database& db, const UserRow& user);
// Marks the user and every certificate of it revoked. Rejects with kUnknownObject, and with kDenied
// for the last admin (FAULTS A22).
void revoke_user(Database& db, const UserId& id, WallTime now);
// Rejects with kDenied when this would leave no admin.
void set_user_role(Database& db, const UserId& id, UserRole role);

}  // namespace rexec::store
