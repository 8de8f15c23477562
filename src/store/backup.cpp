// See backup.hpp.
#include "src/store/backup.hpp"

#include <SQLiteCpp/Backup.h>
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>

#include "src/store/audit.hpp"
#include "src/store/connection.hpp"
#include "src/store/damage.hpp"
#include "src/store/data_lock.hpp"
#include "src/store/schema.hpp"

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

// A single file: no -wal beside it that somebody could forget to copy.
void copy_pages(Database& from, const std::string& to) {
  SQLite::Database copy(to, SQLite::OPEN_READWRITE);
  {
    SQLite::Backup backup(copy, from.connection());
    backup.executeStep(-1);
  }
  copy.exec("PRAGMA journal_mode = DELETE");
}

Result<void> copy_to(Database& from, const std::string& to) {
  unlink(to.c_str());
  const int fd = open(to.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return fail_errno("cannot make " + to, errno);
  close(fd);
  try {
    copy_pages(from, to);
  } catch (const SQLite::Exception& error) {
    unlink(to.c_str());
    return fail(Code::kStore, "cannot copy to " + to + ": " + error.what());
  }
  return sync_path(to);
}

Result<void> check_open_backup(Database& db) {
  try {
    const auto version = check_schema(db, all_migrations());
    if (!version) return std::unexpected(version.error());
    if (*version == 0) return fail(Code::kStore, db.path() + " holds no rexec state");
    if (auto whole = check_integrity(db, Depth::kFull); !whole) return whole;
    const AuditReport report = verify_audit(db);
    if (report.why.empty()) return {};
    return std::unexpected(
        damaged(db.path(), "audit row " + std::to_string(report.bad_seq) + ": " + report.why));
  } catch (const SQLite::Exception& error) {
    return std::unexpected(damaged(db.path(), error.what()));
  }
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

Result<void> backup_to(Database& db, const std::string& path) {
  const std::string temporary = path + ".partial";
  if (auto copied = copy_to(db, temporary); !copied) return copied;
  return rename_durably(temporary, path);
}

Result<void> check_backup(const std::string& path) {
  auto db = open_plain(path);
  if (!db) return std::unexpected(db.error());
  return check_open_backup(**db);
}

Result<void> restore_from(const std::string& backup, const std::string& data_directory) {
  if (auto fit = check_data_directory(data_directory); !fit) return fit;
  const auto lock = DataLock::acquire(data_directory);
  if (!lock) return std::unexpected(lock.error());
  auto source = open_plain(backup);
  if (!source) return std::unexpected(source.error());
  if (auto good = check_open_backup(**source); !good) return good;
  const std::string path = data_directory + "/" + kDatabaseName;
  const std::string copy = path + ".restoring";
  if (auto copied = copy_to(**source, copy); !copied) return copied;
  return swap_in(copy, path);
}

}  // namespace rexec::store
