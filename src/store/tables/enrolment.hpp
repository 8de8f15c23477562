// Spending a join token: token, certificate record and node or user in one operation, so in one
// transaction. The same key with the same token gets the same certificate again while the token
// lives, whatever crashed in between (FAULTS A1–A5, A8, A9, A11). The caller has verified the proof
// (pki/token.hpp) and brings the signing; this decides and records.
#pragma once

#include <functional>
#include <string>

#include "src/pki/authority.hpp"
#include "src/store/database/database.hpp"
#include "src/store/tables/tokens.hpp"

namespace rexec::store {

struct EnrolRequest {
  std::string token_id;
  std::string key_hash;       // hex, of the CSR's key
  std::string name;           // wished; empty: the token's
  std::string labels = "{}";  // JSON object; must be within the token's
  std::string run_as;
  std::string from;  // the peer's address, for the audit
  WallTime now;
};

struct Enrolled {
  std::string certificate;  // DER
  std::string id;
  std::string name;
  pki::TokenKind kind = pki::TokenKind::kNode;
  std::string serial;
  std::string replaced;  // the id of the node whose name was taken over; its sessions must end
  enum class Kind { kNew, kAgain } outcome = Kind::kNew;
};

using SignLeaf = std::function<Result<pki::Issued>(pki::Role role, const std::string& id)>;

// An error value commits its audit row (`token_replay`, `enrol_refused`); an exception rolls back.
// kTokenSpent: unknown, used by another key, expired or revoked. kDenied: outside the token's
// scope. kConflict: the name belongs to a live node.
Result<Enrolled> enrol(Database& db, const EnrolRequest& request, const SignLeaf& sign);

}  // namespace rexec::store
