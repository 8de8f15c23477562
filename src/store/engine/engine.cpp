// See engine.hpp.
#include "src/store/engine/engine.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>
#include <SQLiteCpp/Statement.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "src/base/fail_point.hpp"
#include "src/base/log.hpp"
#include "src/store/audit/history.hpp"
#include "src/store/database/damage.hpp"
#include "src/store/file/backup.hpp"
#include "src/store/file/connection.hpp"

namespace rexec::store {
namespace {

constexpr int kExitIo = 74;  // EX_IOERR
constexpr std::size_t kPageSize = 4096;

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

// The errno of the WAL's last failed call: sqlite3_system_errno() is read too late to be that.
int wal_errno(sqlite3* handle) {
  sqlite3_file* wal = nullptr;
  int last = 0;
  sqlite3_file_control(handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);
  if (wal != nullptr && wal->pMethods != nullptr) {
    wal->pMethods->xFileControl(wal, SQLITE_FCNTL_LAST_ERRNO, &last);
  }
  return last;
}

constexpr std::size_t kLastBallast = 1 << 20;

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
      last_ballast_(options_.directory, std::min(options_.ballast_bytes / 4, kLastBallast),
                    "ballast.last"),
      db_(std::move(db)),
      opened_(file_id()) {
  low_ = !last_ballast_.ensure() || !ballast_.ensure();
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
      fail_point(FailPoint::kStoreBallastReleased);
      raise(disk_full(options_.directory));
      outcome = attempt(group, kNoMore);
    }
    if (outcome == Outcome::kFull) run_apart(group);
    if (low_) reclaim();
  }
  for (std::size_t i = 0; i < group.size(); ++i) {
    if (group[i].committed) group[i].committed(std::move(results_[i]));
  }
  fail_point(FailPoint::kStoreTold);
}

Engine::Outcome Engine::attempt(std::vector<Pending>& group, const More& more) {
  results_.clear();
  try {
    db_->statement("BEGIN IMMEDIATE").exec();
    const int changes = sqlite3_total_changes(db_->connection().getHandle());
    fail_point(FailPoint::kStoreBegun);
    do {
      while (results_.size() < group.size()) {
        results_.push_back(run_one(group[results_.size()].operation));
      }
    } while (more(group));
    fail_point(FailPoint::kStoreCommitting);
    const bool wrote = sqlite3_total_changes(db_->connection().getHandle()) != changes;
    const bool counted = wrote && !run_.empty();
    if (counted) count_commit(*db_, run_);
    db_->statement("COMMIT").exec();
    // Before anybody hears of this commit, so that what he is told includes it.
    if (counted) run_commits_.fetch_add(1, std::memory_order_release);
    fail_point(FailPoint::kStoreCommitted);
  } catch (const SQLite::Exception& error) {
    const Outcome outcome = judge(error);
    roll_back_all();
    if (outcome == Outcome::kRefused) {
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
  const std::int64_t before = used_pages();
  try {
    operation(*db_);
  } catch (const OperationError& error) {
    roll_back_one();
    return std::unexpected(error.error());
  } catch (const SQLite::Exception& error) {
    if (!is_statement_error(error.getErrorCode() & 0xff)) throw;
    roll_back_one();
    return std::unexpected(of_statement(error));
  } catch (const std::exception& error) {
    roll_back_one();
    return fail(Code::kInternal, std::string("an operation on the store failed: ") + error.what());
  }
  if (grows_too_much(before)) {
    roll_back_one();
    return std::unexpected(disk_full(options_.directory));
  }
  fail_point(FailPoint::kStoreOperation);
  db_->statement("RELEASE operation").exec();
  return {};
}

std::int64_t Engine::used_pages() {
  if (!low_) return 0;
  const auto number = [this](const char* sql) {
    SQLite::Statement& pragma = db_->statement(sql);
    pragma.executeStep();
    const std::int64_t value = pragma.getColumn(0).getInt64();
    pragma.tryReset();
    return value;
  };
  return number("PRAGMA page_count") - number("PRAGMA freelist_count");
}

// While the disk is low only a quarter of the ballast may be taken for good: room for revocations
// and results, none for a flood of jobs, and enough left to write the deletes.
bool Engine::grows_too_much(std::int64_t pages_before) {
  if (!low_) return false;
  const std::int64_t grown = used_pages() - pages_before;
  const auto allowed = static_cast<std::int64_t>(options_.ballast_bytes / kPageSize / 4);
  if (grown > 0 && low_growth_ + grown > allowed) return true;
  low_growth_ += grown;
  return false;
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
  const int system = wal_errno(db_->connection().getHandle());
  const bool no_room = system == ENOSPC || system == EDQUOT || system == EFBIG;
  switch (error.getErrorCode() & 0xff) {  // extended codes are on
    case SQLITE_FULL:
      return Outcome::kFull;
    case SQLITE_READONLY:
    case SQLITE_BUSY:
    case SQLITE_NOMEM:
      return Outcome::kRefused;
    case SQLITE_IOERR:
      // Only a plain write may be retried: after a failed sync nobody knows what is on the disk.
      if (error.getExtendedErrorCode() == SQLITE_IOERR_WRITE && no_room) return Outcome::kFull;
      if (error.getExtendedErrorCode() == SQLITE_IOERR_WRITE && system == EROFS) {
        return Outcome::kRefused;
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

bool Engine::checkpoint() {
  return db_->connection().tryExec("PRAGMA wal_checkpoint(RESTART)") == SQLITE_OK;
}

// Gives pages that deletes left free back to the file system, then tries to have the ballast again.
// The WAL keeps its size: its room is ours to write in while others fill the disk.
void Engine::reclaim() {
  // The WAL before all: until it is in the database it takes room for each delete. Of a database
  // that grew by a page before the disk was full, that page is missing.
  if (!checkpoint() && last_ballast_.release()) checkpoint();
  db_->connection().tryExec("PRAGMA incremental_vacuum");
  checkpoint();
  if (!last_ballast_.ensure() || !ballast_.ensure()) return;
  low_ = false;
  low_growth_ = 0;
  fail_point(FailPoint::kStoreBallastBack);
  log_info("the disk has room again, the ballast is back");
}

Result<void> Engine::begin_run(const std::string& run) {
  Result<void> done;
  std::vector<Pending> group;
  group.push_back({[&run](Database& db) { store::begin_run(db, run, wall_now()); },
                   [&done](Result<void> result) { done = std::move(result); },
                   {},
                   {},
                   {}});
  run_group(group, kNoMore);
  if (done) run_ = run;
  return done;
}

void Engine::close() {
  if (!db_) return;
  fail_point(FailPoint::kStoreClosing);
  if (!vanished_) db_->connection().tryExec("PRAGMA wal_checkpoint(TRUNCATE)");
  db_.reset();
  lock_.reset();
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
