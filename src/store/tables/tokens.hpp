// Join tokens as the controller keeps them: scope, secret, and on whom each was spent. Spending is
// enrolment.hpp.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/base/clock.hpp"
#include "src/pki/token.hpp"
#include "src/store/database/database.hpp"
#include "src/store/tables/users.hpp"

namespace rexec::store {

enum class Replace { kNo, kYes };

struct TokenRow {
  std::string id;  // t-…
  pki::TokenKind kind = pki::TokenKind::kNode;
  pki::TokenSecret secret = pki::TokenSecret::random();
  std::string name;  // the node or user it is for; empty: the node chooses
  UserRole user_role = UserRole::kUser;
  std::string labels = "{}";       // JSON object: what the node may and will carry
  Replace replace = Replace::kNo;  // may take the name of a live node, whose identity is then
                                   // revoked (FAULTS A11)
  std::string created_by;          // for people
  WallTime created;
  WallTime expires;
  std::string spent_by;           // hex hash of the public key; empty: unused
  std::string spent_id;           // the node or user that came of it
  std::string spent_from;         // the address it was spent from
  std::string spent_certificate;  // DER
  std::optional<WallTime> revoked;
};

std::vector<TokenRow> load_tokens(Database& db);
// In the same order, the oldest first, `most` of those behind that place.
std::vector<TokenRow> load_tokens_after(Database& db, WallTime created, const std::string& id,
                                        std::size_t most);
std::optional<TokenRow> find_token(Database& db, const std::string& id);
void insert_token(Database& db, const TokenRow& token);
// The whole row, new or not: for enrolment.
void put_token(Database& db, const TokenRow& token);
// Rejects with kUnknownObject.
void revoke_token(Database& db, const std::string& id, WallTime now);
// Drops tokens that expired more than 30 days ago. How many.
std::size_t prune_tokens(Database& db, WallTime now);

}  // namespace rexec::store
