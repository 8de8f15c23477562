// See backup.hpp.
#include "src/store/file/backup.hpp"

#include <SQLiteCpp/Backup.h>
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>
#include <SQLiteCpp/Statement.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>

#include "src/store/audit/audit.hpp"
#include "src/store/database/damage.hpp"
#include "src/store/file/connection.hpp"
#include "src/store/file/data_lock.hpp"
#include "src/store/file/row_check.hpp"
#include "src/store/file/schema.hpp"
#include "src/store/file/seal.hpp"

namespace rexec::store {
namespace {

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<void> sync_path(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail_errno(path, errno);
  const int failed = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  if (failed != 0) return fail_errno("cannot sync " + path, failed);
  return {};
}

Result<void> rename_durably(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) != 0) return fail_errno("cannot make " + to, errno);
  return sync_path(parent_of(to));
}

Result<void> make_empty(const std::string& path) {
  unlink(path.c_str());
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return fail_errno("cannot make " + path, errno);
  close(fd);
  return {};
}

std::unexpected<Error> cannot_copy(const std::string& to, const SQLite::Exception& error) {
  return fail(Code::kStore, "cannot copy to " + to + ": " + error.what());
}

void add_files(SQLite::Database& to, const std::vector<BackupFile>& files) {
  to.exec("CREATE TABLE backup_files (name TEXT PRIMARY KEY, content BLOB NOT NULL)");
  for (const BackupFile& file : files) {
    SQLite::Statement row(to, "INSERT INTO backup_files VALUES (?, ?)");
    row.bind(1, file.name);
    row.bind(2, file.content.data(), static_cast<int>(file.content.size()));
    row.exec();
  }
}

Result<void> check_open_backup(Database& db) {
  try {
    const auto version = check_schema(db, all_migrations());
    if (!version)
      return fail(Code::kStore, version.error().message,
                  "nothing was changed; restore it with the rexec that wrote it");
    if (*version == 0) return fail(Code::kStore, db.path() + " holds no rexec state");
    if (auto whole = check_integrity(db, Depth::kFull); !whole)
      return fail(whole.error().code, whole.error().message, kAnotherBackup);
    check_rows(db);
    const AuditReport report = verify_audit(db);
    if (report.why.empty()) return {};
    return std::unexpected(damaged_backup(
        db.path(), "audit row " + std::to_string(report.bad_seq) + ": " + report.why));
  } catch (const OperationError& error) {
    return fail(error.error().code, error.error().message, kAnotherBackup);
  } catch (const SQLite::Exception& error) {
    return std::unexpected(damaged_backup(db.path(), error.what()));
  }
}

Result<void> drop_files(const std::string& path) {
  try {
    SQLite::Database copy(path, SQLite::OPEN_READWRITE);
    copy.exec("PRAGMA secure_delete = ON; DROP TABLE IF EXISTS backup_files");
    return {};
  } catch (const SQLite::Exception& error) {
    return cannot_copy(path, error);
  }
}

// Of the copy, which is brought to this schema; what is kept from before that is the backup itself.
Result<std::unique_ptr<Database>> open_copy(const std::string& path) {
  auto copy = open_plain(path);
  if (!copy) return copy;
  const auto from = check_schema(**copy, all_migrations());
  if (!from) return std::unexpected(from.error());
  auto ready = migrate(**copy, all_migrations());
  unlink((path + ".schema-" + std::to_string(*from)).c_str());
  if (!ready) return std::unexpected(ready.error());
  return copy;
}

// One transaction: the copy knows all of it or none.
Result<Recovery> recover_copy(const std::string& path, Database* former,
                              const std::string& source) {
  auto copy = open_copy(path);
  if (!copy) return std::unexpected(copy.error());
  try {
    SQLite::Database& connection = (*copy)->connection();
    connection.exec("BEGIN IMMEDIATE");
    const Recovery done = recover(**copy, former, source, wall_now());
    connection.exec("COMMIT");
    return done;
  } catch (const OperationError& error) {
    return std::unexpected(error.error());
  } catch (const SQLite::Exception& error) {
    return cannot_copy(path, error);
  }
}

// Its damage may be why a copy is restored: then the copy alone has to do, and it is said.
Result<Recovery> recover_with_former(const std::string& copy, const std::string& data_directory,
                                     const std::string& source) {
  const std::string path = data_directory + "/" + kDatabaseName;
  if (access(path.c_str(), F_OK) != 0) return recover_copy(copy, nullptr, source);
  std::string why;
  if (auto former = open_database(data_directory, OpenMode::kExisting); former) {
    auto done = recover_copy(copy, former->get(), source);
    if (done) return done;
    why = done.error().message;
  } else {
    why = former.error().message;
  }
  auto done = recover_copy(copy, nullptr, source);
  if (done) done->former_error = why;
  return done;
}

// The database goes first: until the copy is in its place a controller finds none, and refuses,
// whatever crashes here.
Result<void> swap_in(const std::string& copy, const std::string& path) {
  const std::string kept = path + ".before-restore";
  for (const char* part : {"", "-wal", "-shm"}) {
    if (rename((path + part).c_str(), (kept + part).c_str()) != 0 && errno != ENOENT) {
      return fail_errno("cannot move " + path + part, errno);
    }
  }
  return rename_durably(copy, path);
}

}  // namespace

struct BackupRun::State {
  std::string path;
  std::string temporary;
  std::vector<BackupFile> files;
  std::unique_ptr<SQLite::Database> copy;
  std::unique_ptr<SQLite::Backup> backup;
  std::unique_ptr<Sealing> sealing;  // the copy is complete
};

BackupRun::BackupRun(std::unique_ptr<State> state) : state_(std::move(state)) {}

BackupRun::~BackupRun() {
  state_->backup.reset();
  state_->copy.reset();
  unlink(state_->temporary.c_str());  // renamed when it is complete
}

Result<std::unique_ptr<BackupRun>> BackupRun::begin(Database& db, std::string path,
                                                    std::vector<BackupFile> files) {
  auto state = std::make_unique<State>();
  state->temporary = path + ".partial";
  state->path = std::move(path);
  state->files = std::move(files);
  if (auto made = make_empty(state->temporary); !made) return std::unexpected(made.error());
  std::unique_ptr<BackupRun> run(new BackupRun(std::move(state)));
  try {
    State& own = *run->state_;
    own.copy = std::make_unique<SQLite::Database>(own.temporary, SQLite::OPEN_READWRITE);
    own.backup = std::make_unique<SQLite::Backup>(*own.copy, db.connection());
    return run;
  } catch (const SQLite::Exception& error) {
    return cannot_copy(run->state_->path, error);
  }
}

Result<bool> BackupRun::step(int pages) {
  constexpr std::size_t kSealedAtOnce = 1 << 20;
  try {
    if (state_->sealing) {
      const auto sealed = state_->sealing->step(kSealedAtOnce);
      if (!sealed || !*sealed) return sealed;
      return name_it();
    }
    if (state_->backup->executeStep(pages) != SQLITE_DONE) return false;
    if (auto complete = complete_copy(); !complete) return std::unexpected(complete.error());
    return false;
  } catch (const SQLite::Exception& error) {
    return cannot_copy(state_->path, error);
  }
}

// A single file: no -wal beside it that somebody could forget to copy.
Result<void> BackupRun::complete_copy() {
  state_->backup.reset();
  state_->copy->exec("PRAGMA journal_mode = DELETE");
  if (!state_->files.empty()) add_files(*state_->copy, state_->files);
  state_->copy.reset();
  auto sealing = Sealing::begin(state_->temporary);
  if (!sealing) return std::unexpected(sealing.error());
  state_->sealing = std::move(*sealing);
  return {};
}

Result<bool> BackupRun::name_it() {
  state_->sealing.reset();
  if (auto synced = sync_path(state_->temporary); !synced) return std::unexpected(synced.error());
  auto named = rename_durably(state_->temporary, state_->path);
  if (!named) return std::unexpected(named.error());
  return true;
}

Result<void> backup_to(Database& db, const std::string& path) {
  auto run = BackupRun::begin(db, path, {});
  if (!run) return std::unexpected(run.error());
  while (true) {
    const auto done = (*run)->step(-1);
    if (!done) return std::unexpected(done.error());
    if (*done) return {};
  }
}

Result<void> check_backup(const std::string& path) {
  if (auto whole = check_seal(path); !whole) return whole;
  auto db = open_unchanging(path);
  if (!db) return std::unexpected(db.error());
  return check_open_backup(**db);
}

bool is_backup(const std::string& path) { return has_seal(path); }

Result<std::vector<BackupFile>> files_of_backup(const std::string& path) {
  auto db = open_unchanging(path);
  if (!db) return std::unexpected(db.error());
  std::vector<BackupFile> files;
  try {
    if (!(*db)->connection().tableExists("backup_files")) return files;
    SQLite::Statement rows((*db)->connection(), "SELECT name, content FROM backup_files");
    while (rows.executeStep())
      files.push_back({rows.getColumn(0).getString(), rows.getColumn(1).getString()});
    return files;
  } catch (const SQLite::Exception& error) {
    return std::unexpected(damaged_backup(path, error.what()));
  }
}

Result<Recovery> restore_from(const std::string& backup, const std::string& data_directory) {
  if (auto fit = check_data_directory(data_directory); !fit) return std::unexpected(fit.error());
  const auto lock = DataLock::acquire(data_directory);
  if (!lock) return std::unexpected(lock.error());
  const std::string path = data_directory + "/" + kDatabaseName;
  const std::string copy = path + ".restoring";
  if (auto copied = copy_unsealed(backup, copy); !copied) return std::unexpected(copied.error());
  // The keys in it have their own place, and nobody copies the database alone for a key.
  if (auto tidied = drop_files(copy); !tidied) return std::unexpected(tidied.error());
  auto done = recover_with_former(copy, data_directory, backup);
  if (!done) return done;
  if (auto swapped = swap_in(copy, path); !swapped) return std::unexpected(swapped.error());
  return done;
}

}  // namespace rexec::store
