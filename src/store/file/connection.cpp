// See connection.hpp.
#include "src/store/file/connection.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "src/base/fail_point.hpp"
#include "src/store/database/damage.hpp"
#include "src/store/file/schema.hpp"

namespace rexec::store {
namespace {

constexpr int kBusyMs = 2000;  // an outsider's sqlite3 may be looking at the file
// Reading the whole file is no extra: load_all does. A full check takes about 1 ms a MiB, a quick
// one half of that.
constexpr off_t kFullCheck = 64 << 20;

// locking_mode first: with it WAL needs no shared memory file, so a damaged one cannot mislead us
// (FAULTS S5).
constexpr const char* kPragmas =
    "PRAGMA locking_mode = EXCLUSIVE; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;"
    "PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF; PRAGMA journal_size_limit = 4194304";

Error of_exception(const std::string& path, const SQLite::Exception& error) {
  switch (error.getErrorCode() & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return damaged(path, error.what());
    case SQLITE_BUSY:
      return Error{Code::kBusy, "another program has " + path + " locked",
                   "end the program (a sqlite3 shell?) that looks at it"};
    case SQLITE_FULL:
      return Error{Code::kLimit, path + ": the disk is full", "free space there"};
    default:
      return Error{Code::kStore, path + ": " + error.what(), ""};
  }
}

off_t size_of(const std::string& path) {
  struct stat status{};
  return stat(path.c_str(), &status) == 0 ? status.st_size : -1;
}

// Made by hand because SQLite would make it readable for others; its -wal gets the same mode.
Result<void> make_file(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return fail_errno("cannot make " + path, errno);
  close(fd);
  return {};
}

Result<void> check_presence(const std::string& path, OpenMode mode) {
  const off_t size = size_of(path);
  if (size > 0) return {};
  if (mode == OpenMode::kCreate) return make_file(path);
  return std::unexpected(damaged(path, size < 0 ? "it is missing" : "it is empty"));
}

std::unique_ptr<Database> connect(const std::string& path) {
  auto connection = std::make_unique<SQLite::Database>(
      path, SQLite::OPEN_READWRITE | SQLite::OPEN_NOMUTEX, kBusyMs);
  sqlite3_extended_result_codes(connection->getHandle(), 1);
  return std::make_unique<Database>(std::move(connection), path);
}

// As a `file:` address, in which some characters mean something.
std::string address_of(const std::string& path) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out = "file:";
  for (const char byte : path) {
    const auto value = static_cast<unsigned char>(byte);
    if (byte != '%' && byte != '?' && byte != '#')
      out += byte;
    else
      out.append({'%', kDigits[value >> 4], kDigits[value & 15]});
  }
  return out + "?immutable=1";
}

}  // namespace

Result<std::unique_ptr<Database>> open_database(const std::string& directory, OpenMode mode) {
  const std::string path = directory + "/" + kDatabaseName;
  if (auto there = check_presence(path, mode); !there) return std::unexpected(there.error());
  const Depth depth = size_of(path) <= kFullCheck ? Depth::kFull : Depth::kQuick;
  try {
    auto db = connect(path);
    db->connection().exec(kPragmas);
    const auto version = check_schema(*db, all_migrations());
    if (!version) return std::unexpected(version.error());
    if (*version == 0 && mode == OpenMode::kExisting) {
      return std::unexpected(damaged(path, "it has no tables"));
    }
    auto ready = check_integrity(*db, depth);
    if (ready) ready = migrate(*db, all_migrations());
    if (!ready) return std::unexpected(ready.error());
    fail_point(FailPoint::kStoreOpened);
    return db;
  } catch (const SQLite::Exception& error) {
    return std::unexpected(of_exception(path, error));
  }
}

Result<std::unique_ptr<Database>> open_plain(const std::string& path) {
  if (size_of(path) <= 0) return fail(Code::kStore, path + " is missing or empty");
  try {
    return connect(path);
  } catch (const SQLite::Exception& error) {
    return std::unexpected(of_exception(path, error));
  }
}

Result<std::unique_ptr<Database>> open_unchanging(const std::string& path) {
  if (size_of(path) <= 0) return fail(Code::kStore, path + " is missing or empty");
  try {
    auto connection = std::make_unique<SQLite::Database>(
        address_of(path), SQLite::OPEN_READONLY | SQLite::OPEN_URI | SQLite::OPEN_NOMUTEX);
    sqlite3_extended_result_codes(connection->getHandle(), 1);
    return std::make_unique<Database>(std::move(connection), path);
  } catch (const SQLite::Exception& error) {
    return std::unexpected(of_exception(path, error));
  }
}

Result<void> check_integrity(Database& db, Depth depth) {
  const char* sql = depth == Depth::kQuick ? "PRAGMA quick_check(1)" : "PRAGMA integrity_check(1)";
  try {
    const std::string found = db.connection().execAndGet(sql).getString();
    if (found == "ok") return {};
    return std::unexpected(damaged(db.path(), found));
  } catch (const SQLite::Exception& error) {
    return std::unexpected(of_exception(db.path(), error));
  }
}

}  // namespace rexec::store
