// A disk that is full, read-only or broken: what may go on, goes on; what cannot be trusted, ends.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>

#include "src/base/check.hpp"
#include "tests/unit/store/fixture.hpp"

using namespace rexec;
using namespace rexec::store;

namespace {

// The errno that every pwrite of SQLite fails with; 0: none.
int failing_errno = 0;

ssize_t failing_pwrite(int fd, const void* data, size_t size, off_t at) {
  if (failing_errno == 0) return pwrite(fd, data, size, at);
  errno = failing_errno;
  return -1;
}

void set_pwrite(sqlite3_syscall_ptr call) {
  sqlite3_vfs* vfs = sqlite3_vfs_find(nullptr);
  for (const char* name : {"pwrite", "pwrite64"}) vfs->xSetSystemCall(vfs, name, call);
}

struct FailingDisk {
  FailingDisk() { set_pwrite(reinterpret_cast<sqlite3_syscall_ptr>(failing_pwrite)); }
  ~FailingDisk() {
    failing_errno = 0;
    set_pwrite(nullptr);
  }
};

Result<void> put(Store& store, const JobRow& job) {
  return store.run_now([&](Database& db) { put_job(db, job); });
}

// The step of a child that went wrong, as its exit status.
int exit_status_of(const std::function<int()>& body) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) _exit(body());
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

bool write_text(const char* path, const std::string& text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  const bool written = write(fd, text.data(), text.size()) > 0;
  close(fd);
  return written;
}

// Without root in a user namespace of its own, where the own user must be mapped before he can own
// a file.
bool enter_namespace() {
  const std::string user = std::to_string(geteuid());
  const std::string group = std::to_string(getegid());
  if (user == "0") return unshare(CLONE_NEWNS) == 0;
  return unshare(CLONE_NEWNS | CLONE_NEWUSER) == 0 &&
         write_text("/proc/self/uid_map", "0 " + user + " 1") &&
         write_text("/proc/self/setgroups", "deny") &&
         write_text("/proc/self/gid_map", "0 " + group + " 1");
}

bool mount_small_disk(const std::string& path) {
  if (!enter_namespace()) return false;
  mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  return mount("none", path.c_str(), "tmpfs", 0, "size=24m,mode=700") == 0;
}

void fill_disk(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT, 0600);
  const std::string block(4096, 'x');
  while (write(fd, block.data(), block.size()) > 0) {
  }
  close(fd);
}

JobRow ended_job() {
  JobRow job = job_row();
  job.ended_ms = 1;
  job.record = std::string(1000, 'r');
  return job;
}

#define STEP(number, holds) \
  if (!(holds)) return number

// FAULTS S3, on a real file system of 24 MiB.
int live_on_a_full_disk(const std::string& path) {
  STEP(1, mount_small_disk(path));
  StoreOptions options = options_for(path);
  options.ballast_bytes = 6 << 20;
  int alarms = 0;
  options.alarm = [&](const Error&) { ++alarms; };
  auto opened = Store::open(std::move(options));
  STEP(2, opened && !(*opened)->disk_low());
  Store& store = **opened;
  STEP(3, store.run_now([](Database& db) {
    for (int i = 0; i < 1000; ++i) put_job(db, ended_job());
  }));
  fill_disk(path + "/filler");
  int accepted = 0;
  Result<void> last;
  while (accepted < 20'000 && (last = put(store, ended_job()))) ++accepted;
  STEP(4, !last && last.error().code == Code::kStore && store.disk_low());
  STEP(5, accepted > 100 && alarms == 1);
  // Deletes go on for as long as there is something to delete.
  for (int round = 0; round < 50; ++round) {
    STEP(6, store.run_now([](Database& db) {
      rexec::check(!prune_jobs(db, {WallTime(Millis(100)), WallTime(Millis(100)), 20}).ids.empty());
      append_audit(db, kNow, {"controller", "job.prune", "", ""});
    }));
  }
  unlink((path + "/filler").c_str());
  STEP(7, put(store, ended_job()) && !store.disk_low());
  STEP(8, access((path + "/ballast").c_str(), F_OK) == 0);
  STEP(9, put(store, ended_job()));
  store.stop();
  return 0;
}

// Deletes that take more of the WAL than there is, all at once and then one at a time.
int free_a_full_disk_of_large_commands(const std::string& path) {
  STEP(1, mount_small_disk(path));
  StoreOptions options = options_for(path);
  options.ballast_bytes = 4 << 20;
  auto opened = Store::open(std::move(options));
  STEP(2, opened && !(*opened)->disk_low());
  Store& store = **opened;
  std::vector<JobRow> jobs;
  for (int i = 0; i < 4; ++i) {
    jobs.push_back(ended_job());
    jobs.back().spec_hash = std::string(64, static_cast<char>('a' + i));
    STEP(3, store.run_now([&](Database& db) {
      put_spec(db, jobs.back().spec_hash, std::string(3 << 20, static_cast<char>('a' + i)));
      put_job(db, jobs.back());
    }));
  }
  fill_disk(path + "/filler");
  for (int i = 0; i < 20'000 && put(store, ended_job()); ++i) {
  }
  STEP(4, store.disk_low());
  STEP(5, !store.run_now([&](Database& db) {
    for (const JobRow& job : jobs) remove_job(db, job.id);
  }));
  for (const JobRow& job : jobs)
    STEP(6, store.run_now([&](Database& db) { remove_job(db, job.id); }));
  STEP(7, put(store, ended_job()) && !store.disk_low());
  store.stop();
  return 0;
}

}  // namespace

TEST_CASE("disk: a full one is left by deleting large commands") {
  const TempDir directory;
  const std::string path = directory.path;
  CHECK(exit_status_of([&] { return free_a_full_disk_of_large_commands(path); }) == 0);
}

TEST_CASE("disk: when it is full deletes still work, and the ballast comes back") {  // FAULTS S3
  const TempDir directory;
  const std::string path = directory.path;
  CHECK(exit_status_of([&] { return live_on_a_full_disk(path); }) == 0);
}

TEST_CASE("disk: full or over quota, the operation fails, nothing is half done") {  // FAULTS S15
  const FailingDisk disk;
  const TempDir directory;
  auto store = open_store(directory.path);
  const JobRow first = job_row(), second = job_row();
  REQUIRE(put(*store, first));
  for (const int reason : {ENOSPC, EDQUOT}) {
    failing_errno = reason;
    const auto refused = put(*store, second);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::kStore);
    CHECK(refused.error().message.find("full") != std::string::npos);
  }
  failing_errno = 0;
  CHECK(store->load_all()->unfinished.size() == 1);
  CHECK(put(*store, second));
}

TEST_CASE("disk: mounted read-only, writes are refused and the store lives") {  // FAULTS S9
  const FailingDisk disk;
  const TempDir directory;
  auto store = open_store(directory.path);
  REQUIRE(put(*store, job_row()));
  failing_errno = EROFS;
  CHECK(put(*store, job_row()).error().code == Code::kStore);
  failing_errno = 0;
  CHECK(put(*store, job_row()));
}

TEST_CASE("disk: an I/O error at commit ends the process through the handler") {
  const FailingDisk disk;
  const TempDir directory;
  const std::string path = directory.path;
  const JobRow kept = job_row();
  const auto run = [&](bool handler) {
    return exit_status_of([&] {
      StoreOptions options = options_for(path);
      if (handler) {
        options.fatal = [](const Error& error) { _exit(error.code == Code::kStore ? 42 : 43); };
      }
      auto store = Store::open(std::move(options));
      if (!store || !put(**store, kept)) return 1;
      failing_errno = EIO;
      static_cast<void>(put(**store, job_row()));
      return 2;
    });
  };
  CHECK(run(true) == 42);
  CHECK(run(false) == 74);
  CHECK(open_store(path)->load_all()->unfinished.size() == 1);
}
