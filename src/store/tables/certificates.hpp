// Every certificate that was issued, by serial: what makes revocation possible. The certificates
// themselves are not kept, but for the one a token was spent on (tokens.hpp).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/base/clock.hpp"
#include "src/pki/authority.hpp"
#include "src/pki/identity.hpp"
#include "src/store/database/database.hpp"

namespace rexec::store {

struct CertificateRow {
  std::string serial;  // lower-case hex
  pki::Role role = pki::Role::kUser;
  std::string id;        // the node, user or controller it speaks for
  std::string key_hash;  // hex SHA-256 of the public key
  WallTime issued;
  WallTime not_after;
  std::optional<WallTime> revoked;
};

CertificateRow certificate_row(const pki::Issued& issued, WallTime now);
std::vector<CertificateRow> load_certificates(Database& db);
std::optional<CertificateRow> find_certificate(Database& db, const std::string& serial);
void insert_certificate(Database& db, const CertificateRow& certificate);
void revoke_certificate(Database& db, const std::string& serial, WallTime now);
void revoke_certificates_of(Database& db, pki::Role role, const std::string& id, WallTime now);
// Drops rows whose renewal grace ended before `now`: nothing can be signed in with them any more.
// How many.
std::size_t prune_certificates(Database& db, WallTime now);

}  // namespace rexec::store
