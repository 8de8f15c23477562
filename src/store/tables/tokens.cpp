// See tokens.hpp.
#include "src/store/tables/tokens.hpp"

#include "src/store/database/sql.hpp"

namespace rexec::store {
namespace {

constexpr Millis kKeep = std::chrono::days(30);

std::int64_t kind_number(pki::TokenKind kind) { return kind == pki::TokenKind::kUser ? 1 : 0; }

template <class Use>
auto with_values(const TokenRow& row, Use use) {
  return use(row.id, kind_number(row.kind), Blob{as_text(row.secret.bytes())}, row.name,
             std::string(user_role_name(row.user_role)), row.labels,
             std::int64_t{row.replace == Replace::kYes}, row.created_by, row.created, row.expires,
             row.spent_by, row.spent_id, row.spent_from, Blob{row.spent_certificate}, row.revoked);
}

TokenRow read(Database& db, Run& from) {
  TokenRow row;
  row.id = from.text(0);
  row.kind = from.integer(1) == 1 ? pki::TokenKind::kUser : pki::TokenKind::kNode;
  const auto secret = pki::TokenSecret::from_bytes(as_bytes(from.text(2)));
  const auto role = parse_user_role(from.text(4));
  if (!secret || !role) reject_damaged_row(db, "tokens", row.id);
  row.secret = *secret;
  row.name = from.text(3);
  row.user_role = *role;
  row.labels = from.text(5);
  row.replace = from.integer(6) == 1 ? Replace::kYes : Replace::kNo;
  row.created_by = from.text(7);
  row.created = from.time(8);
  row.expires = from.time(9);
  row.spent_by = from.text(10);
  row.spent_id = from.text(11);
  row.spent_from = from.text(12);
  row.spent_certificate = from.text(13);
  row.revoked = from.maybe_time(14);
  const auto sum = with_values(row, [](const auto&... values) { return row_sum(values...); });
  if (sum != from.integer(15)) reject_damaged_row(db, "tokens", row.id);
  return row;
}

auto reader(Database& db) {
  return [&db](Run& from) { return read(db, from); };
}

}  // namespace

std::vector<TokenRow> load_tokens(Database& db) {
  return query(db, reader(db), "SELECT * FROM tokens ORDER BY created, id");
}

std::vector<TokenRow> load_tokens_after(Database& db, WallTime created, const std::string& id,
                                        std::size_t most) {
  return query(db, reader(db),
               "SELECT * FROM tokens WHERE (created, id) > (?1, ?2) ORDER BY created, id LIMIT ?3",
               created, id, static_cast<std::int64_t>(most));
}

std::optional<TokenRow> find_token(Database& db, const std::string& id) {
  return query_one(db, reader(db), "SELECT * FROM tokens WHERE id = ?", id);
}

void put_token(Database& db, const TokenRow& token) {
  with_values(token, [&](const auto&... values) {
    run(db, "INSERT OR REPLACE INTO tokens VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", values...,
        row_sum(values...));
  });
}

void insert_token(Database& db, const TokenRow& token) {
  if (find_token(db, token.id)) reject(Code::kConflict, "there is a token " + token.id);
  put_token(db, token);
}

void revoke_token(Database& db, const std::string& id, WallTime now) {
  auto token = find_token(db, id);
  if (!token || token->revoked)
    reject(Code::kUnknownObject, "no token " + id, "see: rexec token ls");
  token->revoked = now;
  put_token(db, *token);
}

std::size_t prune_tokens(Database& db, WallTime now) {
  return static_cast<std::size_t>(run(db, "DELETE FROM tokens WHERE expires < ?", now - kKeep));
}

}  // namespace rexec::store
