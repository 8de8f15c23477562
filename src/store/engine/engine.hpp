// The connection with its lock and ballast, and the one way operations reach the disk: a group in
// one transaction, each operation in its own savepoint. No thread and no queue: those are
// store.cpp. Internal.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/store/engine/ballast.hpp"
#include "src/store/engine/store.hpp"
#include "src/store/file/backup.hpp"
#include "src/store/file/data_lock.hpp"

namespace SQLite {
class Exception;
}

namespace rexec::store {

struct Pending {
  Store::Operation operation;
  Store::Committed committed;
  Urgency urgency = Urgency::kNow;
  std::string backup_path;  // not empty: no operation, a copy to make between groups
  std::vector<BackupFile> backup_files;
};

class Engine {
 public:
  static Result<std::unique_ptr<Engine>> open(StoreOptions options);
  ~Engine();

  // Appends what else may join the transaction that is open; false: commit now.
  using More = std::function<bool(std::vector<Pending>&)>;
  // Runs and commits the group, then tells each `committed` in order.
  void run_group(std::vector<Pending>& group, const More& more);
  // Alarms once when the file is no longer the one we opened (FAULTS S7); from then on every group
  // fails.
  void check_file();
  // Checkpoints so that the next start finds a clean file, and frees the lock.
  void close();

  Database& database() { return *db_; }
  const StoreOptions& options() const { return options_; }
  // From here on commits are counted under this name (history.hpp).
  Result<void> begin_run(const std::string& run);
  std::uint64_t run_commits() const { return run_commits_.load(std::memory_order_acquire); }
  bool disk_low() const { return low_.load(std::memory_order_relaxed); }
  std::uint64_t operations() const { return operations_.load(std::memory_order_relaxed); }
  std::uint64_t commits() const { return commits_.load(std::memory_order_relaxed); }

 private:
  enum class Outcome { kCommitted, kFull, kRefused };
  struct FileId {
    dev_t device = 0;
    ino_t inode = 0;
    bool operator==(const FileId&) const = default;
  };
  Engine(StoreOptions options, DataLock lock, std::unique_ptr<Database> db);
  FileId file_id() const;
  Outcome attempt(std::vector<Pending>& group, const More& more);
  Result<void> run_one(Store::Operation& operation);
  void roll_back_one();
  void roll_back_all();
  Outcome judge(const SQLite::Exception& error);
  void run_apart(std::vector<Pending>& group);
  std::int64_t used_pages();
  bool grows_too_much(std::int64_t pages_before);
  bool checkpoint();
  void reclaim();
  void raise(Error error);
  [[noreturn]] void die(Error error);

  StoreOptions options_;
  std::optional<DataLock> lock_;
  Ballast ballast_;
  Ballast last_ballast_;  // for a checkpoint alone
  std::unique_ptr<Database> db_;
  FileId opened_;
  bool vanished_ = false;
  std::vector<Result<void>> results_;
  std::string run_;
  std::atomic<std::uint64_t> run_commits_ = 0;
  std::int64_t low_growth_ = 0;  // pages taken since the ballast was spent
  std::atomic<bool> low_ = false;
  std::atomic<std::uint64_t> operations_ = 0;
  std::atomic<std::uint64_t> commits_ = 0;
};

}  // namespace rexec::store
