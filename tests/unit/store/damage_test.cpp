// Everything that may be wrong with the data directory: refused by name, never an empty database.
#include <SQLiteCpp/Database.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "src/base/file.hpp"
#include "src/store/file/backup.hpp"
#include "src/store/file/connection.hpp"
#include "src/store/file/data_lock.hpp"
#include "src/store/file/schema.hpp"
#include "tests/unit/store/fixture.hpp"

using namespace rexec;
using namespace rexec::store;

namespace {

const std::string kDb = "controller.db";

void fill(const std::string& directory, int jobs) {
  auto store = open_store(directory);
  REQUIRE(store->run_now([&](Database& db) {
    for (int i = 0; i < jobs; ++i) put_job(db, job_row());
    insert_node(db, node_row("node42"));
    insert_user(db, user_row("ann", UserRole::kAdmin));
    append_audit(db, kNow, {"ann", "x", "y", "z"});
  }));
}

// Opening and loading, as the controller starts.
Result<Snapshot> start(const std::string& directory) {
  StoreOptions options = options_for(directory);
  options.mode = OpenMode::kExisting;
  auto store = Store::open(std::move(options));
  if (!store) return std::unexpected(store.error());
  return (*store)->load_all();
}

void flip(const std::string& path, std::streamoff at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(at);
  const int byte = file.get();
  file.seekp(at);
  file.put(static_cast<char>(byte ^ 0x10));
}

}  // namespace

TEST_CASE("damage: a missing or empty database is refused, not made anew") {  // FAULTS S6
  const TempDir directory;
  CHECK(start(directory.path).error().code == Code::kStore);
  fill(directory.path, 1);
  REQUIRE(start(directory.path));
  std::filesystem::resize_file(directory / kDb, 0);
  const auto empty = start(directory.path);
  REQUIRE_FALSE(empty);
  CHECK(empty.error().code == Code::kStore);
  CHECK(empty.error().hint.find("put back a copy of " + directory.path) != std::string::npos);
}

TEST_CASE("damage: a flipped byte anywhere but in free space is refused by name") {  // FAULTS S6
  const TempDir directory;
  fill(directory.path, 300);
  const std::string path = directory / kDb;
  const auto good = read_file(path, 64 << 20).value();
  std::size_t refused = 0, harmless = 0;
  for (std::size_t at = 0; at < good.size(); at += 509) {
    flip(path, static_cast<std::streamoff>(at));
    const auto result = start(directory.path);
    if (result) {
      // What loads after a flip is exactly what was stored: the byte held nothing, or an audit row,
      // or an index entry.
      REQUIRE(result->unfinished.size() == 300);
      REQUIRE(result->nodes.size() == 1);
      REQUIRE(result->users.size() == 1);
      ++harmless;
    } else {
      REQUIRE(result.error().code == Code::kStore);
      const std::string all = result.error().message + result.error().hint;
      REQUIRE(all.find(path) != std::string::npos);
      REQUIRE(all.find("put back a copy of") != std::string::npos);
      ++refused;
    }
    std::ofstream(path, std::ios::binary) << good;
  }
  MESSAGE(refused, " flips refused, ", harmless, " harmless");
  CHECK(refused > harmless);
}

TEST_CASE("damage: a flipped bit in a row's value is refused although SQLite sees nothing") {
  const TempDir directory;
  fill(directory.path, 3);
  {
    SQLite::Database db(directory / kDb, SQLite::OPEN_READWRITE);
    db.exec("UPDATE users SET role = 'user' WHERE name = 'ann'");
  }
  const auto result = start(directory.path);
  REQUIRE_FALSE(result);
  CHECK(result.error().message.find("users") != std::string::npos);
}

TEST_CASE("damage: a torn WAL gives the last complete commit") {  // FAULTS S5
  const TempDir directory;
  kill_child([&](int ready) {
    auto store = open_store(directory.path);
    store->start();
    for (int i = 0; i < 3; ++i) {
      static_cast<void>(commit(*store, [&](Database& db) { put_job(db, job_row()); }));
    }
    report_and_wait(ready);
  });
  const std::string wal = directory / (kDb + "-wal");
  const auto size = std::filesystem::file_size(wal);
  REQUIRE(size > 0);
  std::filesystem::resize_file(wal, size - 1);
  std::ofstream(directory / (kDb + "-shm")) << "garbage";
  const auto all = start(directory.path);
  REQUIRE(all);
  CHECK(all->unfinished.size() == 2);
}

TEST_CASE("damage: another program's file and another database are refused") {
  const TempDir directory;
  REQUIRE(write_file(directory / kDb, std::string(5000, 'x'), 0600));
  CHECK(start(directory.path).error().code == Code::kStore);
  std::filesystem::remove(directory / kDb);
  {
    SQLite::Database db(directory / kDb, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    db.exec("CREATE TABLE cats (name TEXT)");
  }
  CHECK(start(directory.path).error().code == Code::kStore);
}

TEST_CASE("directory: a second process is told who has it") {  // FAULTS C13
  const TempDir directory;
  auto store = open_store(directory.path);
  const auto second = Store::open(options_for(directory.path));
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Code::kBusy);
  CHECK(second.error().message.find(std::to_string(getpid())) != std::string::npos);
  store.reset();
  CHECK(Store::open(options_for(directory.path)));
}

TEST_CASE("directory: who has it is what the lock says, not the pid in it") {  // FAULTS C13
  const TempDir directory;
  CHECK(DataLock::holder(directory.path) == 0);
  auto store = open_store(directory.path);
  CHECK(DataLock::holder(directory.path) == getpid());
  store.reset();
  CHECK(DataLock::holder(directory.path) == 0);
  CHECK_FALSE(DataLock::holder(directory / "controller.lock"));
}

TEST_CASE("directory: one that others can write is refused") {  // FAULTS S16
  const TempDir directory;
  for (const mode_t mode : {0777, 0770, 0702}) {
    REQUIRE(chmod(directory.path.c_str(), mode) == 0);
    const auto store = Store::open(options_for(directory.path));
    REQUIRE_FALSE(store);
    CHECK(store.error().code == Code::kStore);
    CHECK(store.error().hint.find("chmod 700") != std::string::npos);
  }
  REQUIRE(chmod(directory.path.c_str(), 0755) == 0);
  CHECK(Store::open(options_for(directory.path)));
}

TEST_CASE("schema: a newer one is refused and left alone") {  // FAULTS S11
  const TempDir directory;
  fill(directory.path, 1);
  {
    SQLite::Database db(directory / kDb, SQLite::OPEN_READWRITE);
    db.exec("PRAGMA user_version = 99");
  }
  const auto result = start(directory.path);
  REQUIRE_FALSE(result);
  CHECK(result.error().code == Code::kStore);
  CHECK(result.error().message.find("newer") != std::string::npos);
  SQLite::Database db(directory / kDb, SQLite::OPEN_READWRITE);
  CHECK(db.execAndGet("PRAGMA user_version").getInt() == 99);
}

TEST_CASE("schema: an older one is copied, then brought up in one transaction") {  // FAULTS S12
  const TempDir directory;
  fill(directory.path, 2);
  std::vector<const char*> steps(all_migrations().begin(), all_migrations().end());
  const std::string copy = (directory / kDb) + ".schema-" + std::to_string(steps.size());
  steps.push_back("CREATE TABLE extra (x); INSERT INTO extra VALUES (1)");
  {
    auto db = open_plain(directory / kDb);
    REQUIRE(db);
    REQUIRE(migrate(**db, steps));
    CHECK((*db)->connection().execAndGet("SELECT count(*) FROM extra").getInt() == 1);
  }
  CHECK(check_backup(copy));
  steps.push_back("CREATE TABLE more (x); CREATE TABLE extra (x)");
  auto db = open_plain(directory / kDb);
  REQUIRE(db);
  CHECK_FALSE(migrate(**db, steps));
  CHECK((*db)->connection().execAndGet("PRAGMA user_version").getInt() ==
        static_cast<int>(all_migrations().size()) + 1);
  CHECK_FALSE((*db)->connection().tableExists("more"));
}

TEST_CASE("schema: kill -9 in the middle of a migration leaves the old one") {  // FAULTS S12
  const TempDir directory;
  fill(directory.path, 2);
  std::vector<const char*> steps(all_migrations().begin(), all_migrations().end());
  steps.push_back("CREATE TABLE extra (x); INSERT INTO extra VALUES (1)");
  steps.push_back("SELECT report_and_wait()");
  kill_child([&](int ready) {
    static int pipe_end;
    pipe_end = ready;
    auto db = open_plain(directory / kDb);
    sqlite3_create_function(
        (*db)->connection().getHandle(), "report_and_wait", 0, SQLITE_UTF8, nullptr,
        [](sqlite3_context*, int, sqlite3_value**) { report_and_wait(pipe_end); }, nullptr,
        nullptr);
    static_cast<void>(migrate(**db, steps));
  });
  const auto all = start(directory.path);
  REQUIRE(all);
  CHECK(all->unfinished.size() == 2);
  auto db = open_plain(directory / kDb);
  REQUIRE(db);
  CHECK_FALSE((*db)->connection().tableExists("extra"));
}

TEST_CASE(
    "file: a database removed while in use is noticed and nothing more is accepted") {  // FAULTS S7
  const TempDir directory;
  StoreOptions options = options_for(directory.path);
  options.file_check = Millis(20);
  std::promise<Error> alarm;
  options.alarm = [&](const Error& error) { alarm.set_value(error); };
  auto store = Store::open(std::move(options));
  REQUIRE(store);
  (*store)->start();
  REQUIRE(commit(**store, [](Database& db) { put_job(db, job_row()); }));
  std::filesystem::remove(directory / kDb);
  auto told = alarm.get_future();
  REQUIRE(told.wait_for(std::chrono::seconds(60)) == std::future_status::ready);
  CHECK(told.get().code == Code::kStore);
  CHECK_FALSE(commit(**store, [](Database& db) { put_job(db, job_row()); }));
}

TEST_CASE("backup: a copy under load is whole, verifies, and can be put back") {  // FAULTS S17
  const TempDir directory;
  auto store = open_store(directory.path);
  store->start();
  const auto load = [&](int count) {
    for (int i = 0; i < count; ++i) {
      store->post(
          [](Database& db) {
            put_job(db, job_row());
            append_audit(db, kNow, {"ann", "job.submit", "j", ""});
          },
          {});
    }
  };
  load(500);
  std::promise<Result<void>> copied;
  store->backup(directory / "copy", {{"ca.key", std::string("k\0y", 3)}},
                [&](Result<void> r) { copied.set_value(std::move(r)); });
  load(500);
  REQUIRE(copied.get_future().get());
  REQUIRE(commit(*store, [](Database&) {}));
  CHECK(restore_from(directory / "copy", directory.path).error().code == Code::kBusy);
  store.reset();
  CHECK(start(directory.path)->unfinished.size() == 1000);
  REQUIRE(check_backup(directory / "copy"));
  REQUIRE(restore_from(directory / "copy", directory.path));
  const auto all = start(directory.path);
  REQUIRE(all);
  // All that came before it, and of what came meanwhile a beginning.
  CHECK(all->unfinished.size() >= 500);
  // One for each job, and the restore's own.
  CHECK(all->audit.seq == static_cast<std::int64_t>(all->unfinished.size()) + 1);
  const auto files = files_of_backup(directory / "copy");
  REQUIRE(files);
  REQUIRE(files->size() == 1);
  CHECK(files->front().content == std::string("k\0y", 3));
  CHECK(files_of_backup(directory / kDb)->empty());
  CHECK(std::filesystem::exists((directory / kDb) + ".before-restore"));
}

TEST_CASE("backup: a damaged copy is not put back") {
  const TempDir directory;
  fill(directory.path, 50);
  {
    auto store = open_store(directory.path);
    store->start();
    std::promise<Result<void>> copied;
    store->backup(directory / "copy", {{"ca.key", std::string("k\0y", 3)}},
                  [&](Result<void> r) { copied.set_value(std::move(r)); });
    REQUIRE(copied.get_future().get());
  }
  std::filesystem::resize_file(directory / "copy", 8192);
  CHECK_FALSE(restore_from(directory / "copy", directory.path));
  CHECK_FALSE(restore_from(directory / "nothing", directory.path));
  CHECK(start(directory.path)->unfinished.size() == 50);
}
