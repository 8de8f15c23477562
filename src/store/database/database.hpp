// The connection as an operation sees it: a handle that the aggregates (nodes, jobs, audit …) write
// through. It hides SQLite from everything outside src/store. Opening, threads and commits are
// store.hpp; nobody else makes one.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "src/base/error.hpp"

namespace SQLite {
class Database;
class Statement;
}  // namespace SQLite

namespace rexec::store {

// Thrown inside an operation: what it wrote is rolled back and `committed` is given the error.
class OperationError : public std::runtime_error {
 public:
  explicit OperationError(Error error)
      : std::runtime_error(error.message), error_(std::move(error)) {}
  const Error& error() const { return error_; }

 private:
  Error error_;
};
[[noreturn]] void reject(Code code, std::string message, std::string hint = {});

struct AuditHead {
  std::int64_t seq = 0;  // 0: the chain is empty
  std::string hash;      // 64 hex characters; 64 zeros when empty
};

// kExisting: a missing or empty database is damage, never a fresh start (FAULTS S6). kCreate is for
// `controller init`.
enum class OpenMode { kExisting, kCreate };

class Database {
 public:
  // `path` is what it is called in messages.
  Database(std::unique_ptr<SQLite::Database> connection, std::string path);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // For src/store: prepared on first use and kept; reset before it is handed out. `sql` is a
  // literal.
  SQLite::Statement& statement(const char* sql);
  SQLite::Database& connection() { return *connection_; }
  const std::string& path() const { return path_; }
  // The newest audit row, cached: appending needs no read. forget_audit_head() after any rollback.
  const AuditHead& audit_head();
  void set_audit_head(AuditHead head);
  void forget_audit_head();

 private:
  struct State;
  std::unique_ptr<SQLite::Database> connection_;
  std::string path_;
  std::unique_ptr<State> state_;
};

}  // namespace rexec::store
