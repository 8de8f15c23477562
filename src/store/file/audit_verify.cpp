// Walking the audit chain (audit.hpp): one pass, constant memory, SQLite's own cursor because
// SQLiteCpp's columns cost more than the hash of a row.
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>
#include <sqlite3.h>

#include <memory>
#include <string_view>

#include "src/store/audit/audit.hpp"
#include "src/store/database/damage.hpp"
#include "src/store/file/connection.hpp"
#include "src/store/file/data_lock.hpp"

namespace rexec::store {
namespace {

struct Finalize {
  void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
};
using Cursor = std::unique_ptr<sqlite3_stmt, Finalize>;

std::string_view text(sqlite3_stmt* row, int column) {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(row, column));
  const int size = sqlite3_column_bytes(row, column);
  return data == nullptr ? std::string_view()
                         : std::string_view(data, static_cast<std::size_t>(size));
}

AuditFields fields(sqlite3_stmt* row) {
  return {sqlite3_column_int64(row, 0),
          sqlite3_column_int64(row, 1),
          text(row, 2),
          text(row, 3),
          text(row, 4),
          text(row, 5),
          text(row, 6)};
}

// Why the row does not follow `head`; empty when it does.
std::string misfit(const AuditFields& row, std::string_view hash, const AuditHead& head) {
  if (row.seq != head.seq + 1) return "rows between it and the one before are missing";
  if (row.previous != head.hash) return "it does not follow the row before it";
  if (audit_hash(row) != hash) return "its content was changed";
  return {};
}

void compare_witness(AuditReport& report, const AuditHead& witness, const std::string& found) {
  if (!report.why.empty() || witness.seq == 0) return;
  if (witness.seq > report.head.seq) {
    report.bad_seq = report.head.seq + 1;
    report.why = "the tail was cut: a witness saw row " + std::to_string(witness.seq);
  } else if (found != witness.hash) {
    report.bad_seq = witness.seq;
    report.why = "the chain was rewritten: a witness saw another row here";
  }
}

}  // namespace

AuditReport verify_audit(Database& db, const std::optional<AuditHead>& witness) {
  sqlite3* handle = db.connection().getHandle();
  sqlite3_stmt* raw = nullptr;
  const char* sql = "SELECT * FROM audit ORDER BY seq";
  if (sqlite3_prepare_v2(handle, sql, -1, &raw, nullptr) != SQLITE_OK) {
    throw SQLite::Exception(handle);
  }
  const Cursor cursor(raw);
  AuditReport report;
  report.head.hash.assign(64, '0');
  std::string witnessed;
  int step = SQLITE_ROW;
  while (report.why.empty() && (step = sqlite3_step(raw)) == SQLITE_ROW) {
    const AuditFields row = fields(raw);
    const std::string_view hash = text(raw, 7);
    report.why = misfit(row, hash, report.head);
    if (!report.why.empty()) report.bad_seq = row.seq;
    if (witness && witness->seq == row.seq) witnessed = hash;
    report.head.seq = row.seq;
    report.head.hash = hash;
    ++report.rows;
  }
  if (step != SQLITE_ROW && step != SQLITE_DONE) throw SQLite::Exception(handle);
  if (witness) compare_witness(report, *witness, witnessed);
  return report;
}

Result<AuditReport> verify_audit_file(const std::string& data_directory,
                                      const std::optional<AuditHead>& witness) {
  const auto lock = DataLock::acquire(data_directory);
  if (!lock) return std::unexpected(lock.error());
  const std::string path = data_directory + "/" + kDatabaseName;
  auto db = open_plain(path);
  if (!db) return std::unexpected(db.error());
  try {
    return verify_audit(**db, witness);
  } catch (const SQLite::Exception& error) {
    return std::unexpected(damaged(path, error.what()));
  }
}

}  // namespace rexec::store
