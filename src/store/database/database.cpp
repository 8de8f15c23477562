// See database.hpp.
#include "src/store/database/database.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include <optional>
#include <unordered_map>

#include "src/store/database/damage.hpp"
#include "src/store/database/sql.hpp"

namespace rexec::store {

void reject(Code code, std::string message, std::string hint) {
  throw OperationError(Error{code, std::move(message), std::move(hint)});
}

void reject_damaged_row(Database& db, const char* table, const std::string& key) {
  throw OperationError(
      damaged(db.path(), "row \"" + key + "\" of table " + table + " fails its checksum"));
}

struct Database::State {
  // By the literal's address: the same text in two places is prepared twice, which costs nothing
  // worth a comparison.
  std::unordered_map<const char*, SQLite::Statement> statements;
  std::optional<AuditHead> head;
};

Database::Database(std::unique_ptr<SQLite::Database> connection, std::string path)
    : connection_(std::move(connection)),
      path_(std::move(path)),
      state_(std::make_unique<State>()) {}
// Statements first: a connection with open statements does not close.
Database::~Database() { state_.reset(); }

SQLite::Statement& Database::statement(const char* sql) {
  auto found = state_->statements.find(sql);
  if (found == state_->statements.end()) {
    found = state_->statements.emplace(sql, SQLite::Statement(*connection_, sql)).first;
  }
  found->second.tryReset();
  return found->second;
}

const AuditHead& Database::audit_head() {
  if (!state_->head) {
    const auto read = [](Run& row) { return AuditHead{row.integer(0), row.text(1)}; };
    const auto newest =
        query_one(*this, read, "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1");
    state_->head = newest.value_or(AuditHead{0, std::string(64, '0')});
  }
  return *state_->head;
}

void Database::set_audit_head(AuditHead head) { state_->head = std::move(head); }
void Database::forget_audit_head() { state_->head.reset(); }

}  // namespace rexec::store
