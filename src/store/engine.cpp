// See engine.hpp.
#include "src/store/engine.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>
#include <SQLiteCpp/Statement.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "src/base/log.hpp"
#include "src/store/backup.hpp"
#include "src/store/connection.hpp"
#include "src/store/damage.hpp"

namespace rexec::store {
namespace {

constexpr int kExitIo = 74;  // EX_IOERR

Error disk_full(const std::string& directory) {
  return Error{Code::kStore, "the disk of " + directory + " is full",
               "free space there; until then only what frees space is accepted"};
}

Error of_statement(const SQLite::Exception& error) {
  return Error{Code::kStore, std::string("the state database refused: ") + error.what(), ""};
}

// Errors of one statement that leave the transaction and the file as they were.
bool is_statement_error(int code) {
  switch (code) {
    case SQLITE_ERROR:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
    case SQLITE_TOOBIG:
      return true;
    default:
      return false;
  }
}

const Engine::More kNoMore = [](std::vector<Pending>&) { return false; };

}  // namespace

Result<std::unique_ptr<Engine>> Engine::open(StoreOptions options) {
  if (auto fit = check_data_directory(options.directory); !fit) return std::unexpected(fit.error());
  auto lock = DataLock::acquire(options.directory);
  if (!lock) return std::unexpected(lock.error());
  auto db = open_database(options.directory, options.mode);
  if (!db && db.error().code == Code::kLimit) {
    // Recovering the WAL or migrating may itself need room.
    if (Ballast(options.directory, options.ballast_bytes).release()) {
      db = open_database(options.directory, options.mode);
    }
  }
  if (!db) return std::unexpected(db.error());
  return std::unique_ptr<Engine>(new Engine(std::move(options), std::move(*lock), std::move(*db)));
}

Engine::Engine(StoreOptions options, DataLock lock, std::unique_ptr<Database> db)
    : options_(std::move(options)),
      lock_(std::move(lock)),
      ballast_(options_.directory, options_.ballast_bytes),
      db_(std::move(db)),
      opened_(file_id()) {
  low_ = !ballast_.ensure();
}

Engine::~Engine() { close(); }

// By path, never by a descriptor of our own: closing one would drop SQLite's POSIX locks on the
// file.
Engine::FileId Engine::file_id() const {
  struct stat status{};
  if (stat((options_.directory + "/" + kDatabaseName).c_str(), &status) != 0) return {};
  return {status.st_dev, status.st_ino};
}

void Engine::check_file() {
  if (vanished_ || file_id() == opened_) return;
  vanished_ = true;
  raise(damaged(db_->path(), "it was removed or replaced while in use"));
}

void Engine::run_group(std::vector<Pending>& group, const More& more) {
  results_.clear();
  if (vanished_) {
    const Error gone = damaged(db_->path(), "it was removed or replaced while in use");
    results_.assign(group.size(), std::unexpected(gone));
  } else {
    Outcome outcome = attempt(group, more);
    if (outcome == Outcome::kFull && ballast_.release()) {
      low_ = true;
      raise(disk_full(options_.directory));
      outcome = attempt(group, kNoMore);
    }
    if (outcome == Outcome::kFull) run_apart(group);
    if (low_) reclaim();
  }
  for (std::size_t i = 0; i < group.size(); ++i) {
    if (group[i].committed) group[i].committed(std::move(results_[i]));
  }
}

Engine::Outcome Engine::attempt(std::vector<Pending>& group, const More& more) {
  results_.clear();
  try {
    db_->statement("BEGIN IMMEDIATE").exec();
    do {
      while (results_.size() < group.size()) {
        results_.push_back(run_one(group[results_.size()].operation));
      }
    } while (more(group));
    db_->statement("COMMIT").exec();
  } catch (const SQLite::Exception& error) {
    const Outcome outcome = judge(error);
    roll_back_all();
    if (outcome == Outcome::kReadOnly) {
      results_.assign(group.size(), std::unexpected(of_statement(error)));
    }
    return outcome;
  }
  operations_ += group.size();
  ++commits_;
  return Outcome::kCommitted;
}

Result<void> Engine::run_one(Store::Operation& operation) {
  db_->statement("SAVEPOINT operation").exec();
  try {
    operation(*db_);
  } catch (const OperationError& error) {
    roll_back_one();
    return std::unexpected(error.error());
  } catch (const SQLite::Exception& error) {
    if (!is_statement_error(error.getErrorCode())) throw;
    roll_back_one();
    return std::unexpected(of_statement(error));
  } catch (const std::exception& error) {
    roll_back_one();
    return fail(Code::kInternal, std::string("an operation on the store failed: ") + error.what());
  }
  db_->statement("RELEASE operation").exec();
  return {};
}

void Engine::roll_back_one() {
  db_->statement("ROLLBACK TO operation").exec();
  db_->statement("RELEASE operation").exec();
  db_->forget_audit_head();
}

// SQLite has often done it already; then this says so and nothing else.
void Engine::roll_back_all() {
  db_->statement("COMMIT");  // resets it, should it be the one that failed
  db_->connection().tryExec("ROLLBACK");
  db_->forget_audit_head();
}

Engine::Outcome Engine::judge(const SQLite::Exception& error) {
  const int system = sqlite3_system_errno(db_->connection().getHandle());
  const bool no_room = system == ENOSPC || system == EDQUOT || system == EFBIG;
  switch (error.getErrorCode()) {
    case SQLITE_FULL:
      return Outcome::kFull;
    case SQLITE_READONLY:
    case SQLITE_BUSY:
    case SQLITE_NOMEM:
      return Outcome::kReadOnly;
    case SQLITE_IOERR:
      // Only a plain write may be retried: after a failed sync nobody knows what is on the disk.
      if (error.getExtendedErrorCode() == SQLITE_IOERR_WRITE && no_room) return Outcome::kFull;
      if (error.getExtendedErrorCode() == SQLITE_IOERR_WRITE && system == EROFS) {
        return Outcome::kReadOnly;
      }
      break;
    default:
      break;
  }
  const std::string why = std::string(error.what()) + " (" +
                          std::to_string(error.getExtendedErrorCode()) + ", errno " +
                          std::to_string(system) + ")";
  die(damaged(db_->path(), why));
}

// The last resort of a full disk: one transaction each, so that what frees space gets through.
void Engine::run_apart(std::vector<Pending>& group) {
  std::vector<Result<void>> all;
  for (Pending& pending : group) {
    std::vector<Pending> alone;
    alone.push_back(std::move(pending));
    if (attempt(alone, kNoMore) == Outcome::kFull) {
      results_.assign(1, std::unexpected(disk_full(options_.directory)));
    }
    all.push_back(std::move(results_.front()));
    pending = std::move(alone.front());
  }
  results_ = std::move(all);
}

// Gives pages that deletes left free back to the file system, then tries to have the ballast again.
void Engine::reclaim() {
  db_->connection().tryExec("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)");
  if (!ballast_.ensure()) return;
  low_ = false;
  log_info("the disk has room again, the ballast is back");
}

Result<void> Engine::backup(const std::string& path) { return backup_to(*db_, path); }

void Engine::close() {
  if (!db_) return;
  if (!vanished_) db_->connection().tryExec("PRAGMA wal_checkpoint(TRUNCATE)");
  db_.reset();
}

void Engine::raise(Error error) {
  log_error(error.message, {{"code", std::string(code_name(error.code))}});
  if (options_.alarm) options_.alarm(error);
}

void Engine::die(Error error) {
  if (options_.fatal) options_.fatal(error);
  log_error("the state database cannot be trusted any more: " + error.message);
  _exit(kExitIo);
}

}  // namespace rexec::store
