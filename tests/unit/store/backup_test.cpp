// What a backup is worth: every change to the file is found, and so is what was wrong before it was
// made. Making one under load and putting it back are damage_test.cpp's.
#include "src/store/file/backup.hpp"

#include <SQLiteCpp/Database.h>
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "src/base/file.hpp"
#include "tests/unit/store/fixture.hpp"

using namespace rexec;
using namespace rexec::store;

namespace {

// A database with something of all that matters, and free pages.
void fill(const std::string& directory) {
  auto store = open_store(directory);
  REQUIRE(store->run_now([&](Database& db) {
    for (int i = 0; i < 100; ++i) put_job(db, job_row("j-" + std::to_string(i)));
    for (int i = 10; i < 60; ++i) remove_job(db, {"j-" + std::to_string(i)});
    insert_node(db, node_row("node42"));
    insert_user(db, user_row("ann", UserRole::kAdmin));
    ScheduleRow schedule;
    schedule.id = "s-one";
    schedule.name = "nightly";
    schedule.spec = "argv: backup --all";
    insert_schedule(db, schedule);
    append_audit(db, kNow, {"ann", "x", "y", "z"});
  }));
}

void copy(const std::string& directory, const std::string& file) {
  auto store = open_store(directory);
  store->start();
  std::promise<Result<void>> copied;
  store->backup(file, {{"ca.key", std::string("k\0y", 3)}, {"controller.toml", "cluster = 1"}},
                [&](Result<void> done) { copied.set_value(std::move(done)); });
  REQUIRE(copied.get_future().get());
}

void put(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

std::string content_of(const std::string& path) { return read_file(path, 64 << 20).value(); }

void refuse(const std::string& file, const std::string& directory, const std::string& before) {
  const auto checked = check_backup(file);
  const auto restored = restore_from(file, directory);
  REQUIRE_FALSE(checked);
  REQUIRE_FALSE(restored);
  for (const Error& refused : {checked.error(), restored.error()}) {
    REQUIRE(refused.message.find(file) != std::string::npos);
    REQUIRE(refused.hint.find("take another backup: rexec controller restore FILE") !=
            std::string::npos);
  }
  REQUIRE(content_of(directory + "/controller.db") == before);
}

}  // namespace

TEST_CASE("backup: one flipped bit anywhere in the file is found, and nothing is changed") {
  const TempDir directory;  // FAULTS S17
  fill(directory.path);
  copy(directory.path, directory / "copy");
  const std::string before = content_of(directory / "controller.db");
  const std::string good = content_of(directory / "copy");
  constexpr unsigned kSeed = 4711;
  std::mt19937 random(kSeed);
  for (int i = 0; i < 200; ++i) {
    const std::size_t at = random() % good.size();
    const char bit = static_cast<char>(1 << (random() % 8));
    INFO("seed ", kSeed, ", round ", i, ", byte ", at, ", bit ", static_cast<int>(bit));
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ bit);
    put(directory / "copy", bad);
    refuse(directory / "copy", directory.path, before);
  }
  put(directory / "copy", good);
  CHECK(check_backup(directory / "copy"));
  CHECK(restore_from(directory / "copy", directory.path));
}

TEST_CASE("backup: a file that was cut or grew is refused, wherever") {
  const TempDir directory;
  fill(directory.path);
  copy(directory.path, directory / "copy");
  const std::string before = content_of(directory / "controller.db");
  const std::string good = content_of(directory / "copy");
  for (const std::size_t size : {0UL, 1UL, 100UL, 4096UL, good.size() / 2, good.size() - 1}) {
    put(directory / "copy", good.substr(0, size));
    refuse(directory / "copy", directory.path, before);
  }
  const std::size_t pages = good.size() / 4096 * 4096;
  put(directory / "copy", good.substr(0, pages));  // whole to SQLite: the older form
  refuse(directory / "copy", directory.path, before);
  put(directory / "copy", good + "\n");
  refuse(directory / "copy", directory.path, before);
  put(directory / "copy", good.substr(0, pages - 4096) + good.substr(pages));
  refuse(directory / "copy", directory.path, before);
}

TEST_CASE("backup: a row that was damaged before the copy was made is found") {
  for (const char* change : {"UPDATE schedules SET spec = 'argv: evil'",
                             "UPDATE jobs SET ticket = ''", "UPDATE jobs SET keyed = 1",
                             "UPDATE nodes SET removed = 1", "UPDATE users SET role = 'user'"}) {
    INFO(change);
    const TempDir directory;
    fill(directory.path);
    SQLite::Database(directory / "controller.db", SQLite::OPEN_READWRITE).exec(change);
    copy(directory.path, directory / "copy");
    const auto refused = check_backup(directory / "copy");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find("fails its checksum") != std::string::npos);
    CHECK(refused.error().message.find(directory / "copy") != std::string::npos);
  }
}

TEST_CASE("backup: it is read as it is, whatever lies beside it and whatever it is called") {
  const TempDir directory;
  fill(directory.path);
  const std::string file = directory / "50% of #1?mode=memory";
  copy(directory.path, file);
  const std::string good = content_of(file);
  put(file + "-journal", "garbage");
  put(file + "-wal", "garbage");
  CHECK(check_backup(file));
  CHECK(files_of_backup(file)->size() == 2);
  CHECK(content_of(file) == good);
  CHECK(content_of(file + "-wal") == "garbage");
}

TEST_CASE("backup: SQLite's own tools read it") {
  const TempDir directory;
  fill(directory.path);
  copy(directory.path, directory / "copy");
  SQLite::Database db(directory / "copy", SQLite::OPEN_READONLY);
  CHECK(db.execAndGet("PRAGMA integrity_check").getString() == "ok");
  CHECK(db.execAndGet("SELECT count(*) FROM jobs").getInt() == 50);
  CHECK(is_backup(directory / "copy"));
  CHECK_FALSE(is_backup(directory / "controller.db"));
  CHECK_FALSE(is_backup(directory / "nothing"));
}
