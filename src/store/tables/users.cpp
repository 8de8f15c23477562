// See users.hpp.
#include "src/store/tables/users.hpp"

#include "src/base/text.hpp"
#include "src/store/database/sql.hpp"
#include "src/store/tables/certificates.hpp"

namespace rexec::store {
namespace {

template <class Use>
auto with_values(const UserRow& row, Use use) {
  return use(row.id.text, row.name, std::string(user_role_name(row.role)), row.created,
             row.revoked);
}

UserRow read(Database& db, Run& from) {
  const std::string id = from.text(0);
  const auto role = parse_user_role(from.text(2));
  if (!role) reject_damaged_row(db, "users", id);
  UserRow row{UserId{id}, from.text(1), *role, from.time(3), from.maybe_time(4)};
  const auto sum = with_values(row, [](const auto&... values) { return row_sum(values...); });
  if (sum != from.integer(5)) reject_damaged_row(db, "users", id);
  return row;
}

auto reader(Database& db) {
  return [&db](Run& from) { return read(db, from); };
}

void put(Database& db, const UserRow& row) {
  with_values(row, [&](const auto&... values) {
    // Not OR REPLACE: that would silently drop another row with the name.
    run(db, "DELETE FROM users WHERE id = ?", row.id.text);
    run(db, "INSERT INTO users VALUES (?,?,?,?,?,?)", values..., row_sum(values...));
  });
}

UserRow live_user(Database& db, const UserId& id) {
  auto user = find_user(db, id);
  if (!user || user->revoked) reject(Code::kUnknownObject, "no user " + id.text);
  return std::move(*user);
}

// Without an admin nobody could make one (FAULTS A22).
void keep_an_admin(Database& db, const UserRow& leaving) {
  if (leaving.role != UserRole::kAdmin) return;
  const auto others = query_one(
      db, [](Run& row) { return row.integer(0); },
      "SELECT count(*) FROM users WHERE role = 'admin' AND revoked IS NULL AND id <> ?",
      leaving.id.text);
  if (others.value_or(0) > 0) return;
  reject(Code::kDenied, "\"" + leaving.name + "\" is the last admin",
         "make another user an admin first");
}

}  // namespace

std::string_view user_role_name(UserRole role) {
  return role == UserRole::kAdmin ? "admin" : "user";
}

Result<UserRole> parse_user_role(std::string_view name) {
  if (name == "admin") return UserRole::kAdmin;
  if (name == "user") return UserRole::kUser;
  return fail(Code::kUsage, "\"" + printable(name.substr(0, 64)) + "\" is not a role",
              "roles: user, admin");
}

std::vector<UserRow> load_users(Database& db) {
  return query(db, reader(db), "SELECT * FROM users ORDER BY name, created");
}

std::optional<UserRow> find_user(Database& db, const UserId& id) {
  return query_one(db, reader(db), "SELECT * FROM users WHERE id = ?", id.text);
}

std::optional<UserRow> find_live_user(Database& db, const std::string& name) {
  return query_one(db, reader(db), "SELECT * FROM users WHERE name = ? AND revoked IS NULL", name);
}

void insert_user(Database& db, const UserRow& user) {
  if (find_live_user(db, user.name) || find_user(db, user.id)) {
    reject(Code::kConflict, "there is a user named \"" + user.name + "\" already");
  }
  put(db, user);
}

void revoke_user(Database& db, const UserId& id, WallTime now) {
  UserRow user = live_user(db, id);
  keep_an_admin(db, user);
  user.revoked = now;
  put(db, user);
  revoke_certificates_of(db, pki::Role::kUser, id.text, now);
}

void set_user_role(Database& db, const UserId& id, UserRole role) {
  UserRow user = live_user(db, id);
  if (role != UserRole::kAdmin) keep_an_admin(db, user);
  user.role = role;
  put(db, user);
}

}  // namespace rexec::store
