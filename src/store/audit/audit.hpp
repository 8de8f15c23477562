// The audit log: a hash chain, appended inside the operation whose effect it records, so there is
// no effect without its row and no row without its effect. Verifying reads in constant memory and
// works offline; that the tail was not cut is told by a witness (a head that an agent or a client
// kept).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/clock.hpp"
#include "src/store/database/database.hpp"

namespace rexec::store {

struct AuditEntry {
  std::string actor;   // "user/u-… ann", "node/n-…", "controller", "stranger 10.0.0.9"
  std::string verb;    // "job.submit", "token_replay" …
  std::string object;  // "job/j-…"
  std::string detail;  // JSON or text for people
};

struct AuditRow {
  std::int64_t seq = 0;
  WallTime wall;
  AuditEntry entry;
  std::string previous;  // hex
  std::string hash;      // hex
};

// The same row without owning its text.
struct AuditFields {
  std::int64_t seq = 0;
  std::int64_t wall_ms = 0;
  std::string_view actor, verb, object, detail, previous;
};

// Hex of SHA-256("rexec audit 1" · previous, in hex · seq u64 · wall ms u64 · each of actor, verb,
// object, detail as u32 length + bytes), integers big-endian.
std::string audit_hash(const AuditFields& row);
std::string audit_hash(const AuditRow& row);
// Chains and stores one entry; the row as stored.
AuditRow append_audit(Database& db, WallTime now, const AuditEntry& entry);
// Rows with seq > after, oldest first, at most `limit`.
std::vector<AuditRow> load_audit(Database& db, std::int64_t after, std::size_t limit);
// The newest `limit` rows, newest first.
std::vector<AuditRow> load_audit_tail(Database& db, std::size_t limit);

struct AuditReport {
  std::int64_t rows = 0;
  AuditHead head;
  std::int64_t bad_seq = 0;  // the first row that does not fit; 0: the chain holds
  std::string why;           // empty: the chain holds
};
// Walks the chain from the first row. With a witness, its row must be there with its hash ("the
// tail was cut", "rewritten").
AuditReport verify_audit(Database& db, const std::optional<AuditHead>& witness = std::nullopt);
// The same on the file of a controller that is not running; opens it read-only. kBusy while one is.
Result<AuditReport> verify_audit_file(const std::string& data_directory,
                                      const std::optional<AuditHead>& witness = std::nullopt);

}  // namespace rexec::store
