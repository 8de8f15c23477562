// See certificates.hpp.
#include "src/store/tables/certificates.hpp"

#include "src/pki/certificate.hpp"
#include "src/store/database/sql.hpp"

namespace rexec::store {
namespace {

template <class Use>
auto with_values(const CertificateRow& row, Use use) {
  return use(row.serial, std::string(pki::role_name(row.role)), row.id, row.key_hash, row.issued,
             row.not_after, row.revoked);
}

CertificateRow read(Database& db, Run& from) {
  CertificateRow row;
  row.serial = from.text(0);
  const auto role = pki::parse_role(from.text(1));
  if (!role) reject_damaged_row(db, "certificates", row.serial);
  row.role = *role;
  row.id = from.text(2);
  row.key_hash = from.text(3);
  row.issued = from.time(4);
  row.not_after = from.time(5);
  row.revoked = from.maybe_time(6);
  const auto sum = with_values(row, [](const auto&... values) { return row_sum(values...); });
  if (sum != from.integer(7)) reject_damaged_row(db, "certificates", row.serial);
  return row;
}

auto reader(Database& db) {
  return [&db](Run& from) { return read(db, from); };
}

void put(Database& db, const CertificateRow& row) {
  with_values(row, [&](const auto&... values) {
    run(db, "INSERT OR REPLACE INTO certificates VALUES (?,?,?,?,?,?,?,?)", values...,
        row_sum(values...));
  });
}

}  // namespace

CertificateRow certificate_row(const pki::Issued& issued, WallTime now) {
  return {issued.identity.serial,
          issued.identity.role,
          issued.identity.id,
          to_hex(issued.key_hash),
          now,
          issued.identity.not_after,
          std::nullopt};
}

std::vector<CertificateRow> load_certificates(Database& db) {
  return query(db, reader(db), "SELECT * FROM certificates");
}

std::optional<CertificateRow> find_certificate(Database& db, const std::string& serial) {
  return query_one(db, reader(db), "SELECT * FROM certificates WHERE serial = ?", serial);
}

void insert_certificate(Database& db, const CertificateRow& certificate) {
  if (find_certificate(db, certificate.serial)) {
    reject(Code::kConflict, "there is a certificate " + certificate.serial);
  }
  put(db, certificate);
}

void revoke_certificate(Database& db, const std::string& serial, WallTime now) {
  auto row = find_certificate(db, serial);
  if (!row) reject(Code::kUnknownObject, "no certificate " + serial);
  if (row->revoked) return;
  row->revoked = now;
  put(db, *row);
}

void revoke_certificates_of(Database& db, pki::Role role, const std::string& id, WallTime now) {
  auto rows = query(db, reader(db),
                    "SELECT * FROM certificates WHERE id = ? AND role = ? AND revoked IS NULL", id,
                    std::string(pki::role_name(role)));
  for (CertificateRow& row : rows) {
    row.revoked = now;
    put(db, row);
  }
}

std::size_t prune_certificates(Database& db, WallTime now) {
  return static_cast<std::size_t>(
      run(db, "DELETE FROM certificates WHERE not_after < ?", now - pki::kRenewalGrace));
}

}  // namespace rexec::store
