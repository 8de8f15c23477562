// See audit.hpp. Walking the chain of ten million rows (FAULTS S18) is audit_verify.cpp.
#include "src/store/audit/audit.hpp"

#include <array>

#include "src/base/bytes.hpp"
#include "src/base/fail_point.hpp"
#include "src/pki/digest.hpp"
#include "src/store/database/sql.hpp"

namespace rexec::store {
namespace {

constexpr std::string_view kDomain = "rexec audit 1";

AuditRow read(Run& from) {
  AuditRow row;
  row.seq = from.integer(0);
  row.wall = from.time(1);
  row.entry = {from.text(2), from.text(3), from.text(4), from.text(5)};
  row.previous = from.text(6);
  row.hash = from.text(7);
  return row;
}

template <class T>
void append_be(std::string& to, T value) {
  std::array<std::uint8_t, sizeof(T)> bytes;
  store_be(bytes.data(), value);
  to.append(as_text(bytes));
}

}  // namespace

std::string audit_hash(const AuditFields& row) {
  thread_local std::string message;
  message.assign(kDomain).append(row.previous);
  append_be(message, static_cast<std::uint64_t>(row.seq));
  append_be(message, static_cast<std::uint64_t>(row.wall_ms));
  for (const std::string_view field : {row.actor, row.verb, row.object, row.detail}) {
    append_be(message, static_cast<std::uint32_t>(field.size()));
    message.append(field);
  }
  return to_hex(pki::sha256(as_bytes(message)));
}

std::string audit_hash(const AuditRow& row) {
  return audit_hash(AuditFields{row.seq, to_ms(row.wall), row.entry.actor, row.entry.verb,
                                row.entry.object, row.entry.detail, row.previous});
}

AuditRow append_audit(Database& db, WallTime now, const AuditEntry& entry) {
  const AuditHead& head = db.audit_head();
  AuditRow row{head.seq + 1, now, entry, head.hash, ""};
  row.hash = audit_hash(row);
  run(db, "INSERT INTO audit VALUES (?,?,?,?,?,?,?,?)", row.seq, row.wall, entry.actor, entry.verb,
      entry.object, entry.detail, row.previous, row.hash);
  db.set_audit_head({row.seq, row.hash});
  fail_point(FailPoint::kStoreAudited);
  return row;
}

std::vector<AuditRow> load_audit(Database& db, std::int64_t after, std::size_t limit) {
  return query(db, read, "SELECT * FROM audit WHERE seq > ? ORDER BY seq LIMIT ?", after,
               static_cast<std::int64_t>(limit));
}

std::vector<AuditRow> load_audit_tail(Database& db, std::size_t limit) {
  return query(db, read, "SELECT * FROM audit ORDER BY seq DESC LIMIT ?",
               static_cast<std::int64_t>(limit));
}

}  // namespace rexec::store
