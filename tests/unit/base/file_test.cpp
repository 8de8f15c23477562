// Whole small files and their permissions.
#include "src/base/file.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/base/temp_dir.hpp"

using namespace rexec;

static mode_t mode_of(const std::string& path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

TEST_CASE("file: what is written is read, with the exact mode, and replaces what was there") {
  const TempDir dir;
  const std::string path = dir / "config";
  const mode_t before = ::umask(077);
  CHECK(write_file(path, "one", 0644));
  ::umask(before);
  CHECK(mode_of(path) == 0644);
  CHECK(write_file(path, std::string("two\0bytes", 9), 0600));
  CHECK(mode_of(path) == 0600);
  CHECK(read_file(path).value() == std::string("two\0bytes", 9));
}

TEST_CASE("file: a failed write leaves the old file and no temporary") {
  const TempDir dir;
  std::filesystem::create_directory(dir / "taken");
  CHECK_FALSE(write_file(dir / "taken", "x", 0644));
  CHECK_FALSE(write_file(dir / "missing/file", "x", 0644));
  std::size_t entries = 0;
  for (const auto& entry : std::filesystem::directory_iterator(dir.path)) {
    CHECK(entry.path().filename() == "taken");
    ++entries;
  }
  CHECK(entries == 1);
}

TEST_CASE("file: a file over the bound is refused with limit, one at the bound is read") {
  const TempDir dir;
  CHECK(write_file(dir / "f", std::string(1000, 'x'), 0644));
  CHECK(read_file(dir / "f", 1000).value().size() == 1000);
  const Result<std::string> refused = read_file(dir / "f", 999);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::kLimit);
}

TEST_CASE("file: a missing file and a directory are io errors that name the path") {
  const TempDir dir;
  const Result<std::string> missing = read_file(dir / "none");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == Code::kIo);
  CHECK(missing.error().message == (dir / "none") + ": No such file or directory");
  CHECK(read_file(dir.path).error().code == Code::kIo);
}

TEST_CASE("file: a secret that others can read is refused, with the command that helps") {
  const TempDir dir;
  CHECK(write_file(dir / "key", "secret", 0600));
  CHECK(read_secret_file(dir / "key").value() == "secret");
  for (const mode_t mode : {0640, 0604, 0610, 0666}) {
    REQUIRE(::chmod((dir / "key").c_str(), mode) == 0);
    const Result<std::string> refused = read_secret_file(dir / "key");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::kKeyExposed);
    CHECK(refused.error().hint.find("chmod 600 ") != std::string::npos);
  }
}

TEST_CASE("file: directories are made with the exact mode, and existing ones are left alone") {
  const TempDir dir;
  CHECK(make_directories(dir / "a/b/c", 0700));
  CHECK(mode_of(dir / "a") == 0700);
  CHECK(mode_of(dir / "a/b/c") == 0700);
  CHECK(make_directories(dir / "a/b/c/", 0755));
  CHECK(mode_of(dir / "a/b/c") == 0700);
}

TEST_CASE("file: a file in the way of a directory is an error that names it") {
  const TempDir dir;
  CHECK(write_file(dir / "a", "", 0644));
  const Result<void> made = make_directories(dir / "a/b", 0700);
  REQUIRE_FALSE(made);
  CHECK(made.error().message.find(dir / "a") != std::string::npos);
  CHECK_FALSE(make_directories("", 0700));
}
