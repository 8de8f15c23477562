// The controller's state on disk: one SQLite connection on one store thread. Operations are queued,
// run in order, and committed in groups; `committed` is called on the store thread once they are
// durable. The controller answers from memory but for finished jobs of some age; what it reads for
// those goes through the same queue and is short. Used by src/controller, which wraps `committed`
// to post to its reactor.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/base/clock.hpp"
#include "src/base/error.hpp"
#include "src/store/audit/audit.hpp"
#include "src/store/database/database.hpp"
#include "src/store/file/backup.hpp"
#include "src/store/tables/certificates.hpp"
#include "src/store/tables/jobs.hpp"
#include "src/store/tables/nodes.hpp"
#include "src/store/tables/removed_keys.hpp"
#include "src/store/tables/schedules.hpp"
#include "src/store/tables/stops.hpp"
#include "src/store/tables/terms.hpp"
#include "src/store/tables/tokens.hpp"
#include "src/store/tables/users.hpp"

namespace rexec::store {

struct StoreOptions {
  // The data directory; must exist, not writable by group or others (FAULTS S16).
  std::string directory;
  OpenMode mode = OpenMode::kExisting;
  // The disk broke a promise (fsync failed, a page is damaged): called on the store thread and must
  // not return. After a failed fsync the kernel may have dropped the pages, so going on would be
  // lying. Default: log and _exit(74).
  std::function<void(const Error&)> fatal;
  // The database file vanished beneath us (FAULTS S7) or the disk is full: called once per
  // occurrence, on the store thread.
  std::function<void(const Error&)> alarm;
  Millis group_wait{2};  // an open transaction takes more operations for at most this long
  std::size_t group_size = 256;
  Millis behind_wait{100};  // how long Urgency::kBehind may wait for company
  Millis file_check{5000};  // how often to look whether the file is still ours (S7 allows 10 s)
  std::size_t ballast_bytes = 32 << 20;
};

// What the controller's memory begins with.
struct Snapshot {
  std::vector<NodeRow> nodes;
  std::vector<UserRow> users;
  std::vector<CertificateRow> certificates;
  std::vector<TokenRow> tokens;
  std::vector<JobRow> unfinished;           // oldest first
  std::vector<std::uint64_t> request_keys;  // one for each job there is
  std::vector<std::uint64_t> removed_keys;  // of jobs that there were
  std::vector<TermsRow> terms;              // of unfinished jobs
  std::vector<ScheduleRow> schedules;
  std::vector<StopRow> stops;  // of unfinished jobs
  AuditHead audit;
};

// kNow: commit as soon as nothing else is queued. kBehind: nobody waits for it, so it may wait for
// others (fewer syncs).
enum class Urgency { kNow, kBehind };

class Store {
 public:
  // An operation may run twice (the disk was full, the ballast was freed): it must not consume what
  // it captured.
  using Operation = std::move_only_function<void(Database&)>;
  using Committed = std::move_only_function<void(Result<void>)>;

  // Locks the directory, checks, migrates. kBusy names the process that has it (C13); kStore:
  // damaged (S6), newer (S11).
  static Result<std::unique_ptr<Store>> open(StoreOptions options);
  ~Store();  // stop()

  // Before start(), on the caller's thread. A row that fails its checksum is kStore and names the
  // restore command.
  Result<Snapshot> load_all();
  // Before start(): one transaction, on the caller's thread. For `controller init` and the like.
  Result<void> run_now(Operation operation);

  // Before start(): commits are counted as this run's (history.hpp).
  Result<void> begin_run(const std::string& run);
  // Commits of this run that changed something. Any thread; whoever is told of a commit finds it in
  // here.
  std::uint64_t run_commits() const;
  // Starts the store thread.
  void start();
  // Any thread; `committed` may be empty. An operation that throws is rolled back alone, and its
  // `committed` gets the error; the others of its group commit. After stop() `committed` is called
  // at once with kBusy, on the caller's thread.
  void post(Operation operation, Committed committed, Urgency urgency = Urgency::kNow);
  // The same for an operation with an answer. An error *value* commits what was written; an
  // exception rolls back.
  template <class T>
  void ask(std::move_only_function<Result<T>(Database&)> operation,
           std::move_only_function<void(Result<T>)> answered);
  // A consistent copy of the state at its end, on the store thread: a little between any two
  // groups.
  void backup(std::string path, std::vector<BackupFile> files, Committed done);
  // Commits what is queued, checkpoints, closes, frees the lock. Idempotent.
  void stop();

  // True from the moment the ballast was spent until it is back: refuse new work, allow what frees
  // space.
  bool disk_low() const;
  // How many groups and operations were committed.
  struct Counters {
    std::uint64_t operations = 0;
    std::uint64_t commits = 0;
  };
  Counters counters() const;

 private:
  class Thread;
  explicit Store(std::unique_ptr<Thread> thread);
  std::unique_ptr<Thread> thread_;
};

template <class T>
void Store::ask(std::move_only_function<Result<T>(Database&)> operation,
                std::move_only_function<void(Result<T>)> answered) {
  auto result = std::make_shared<Result<T>>(fail(Code::kInternal, "the operation did not run"));
  post(
      [result, operation = std::move(operation)](Database& db) mutable { *result = operation(db); },
      [result, answered = std::move(answered)](Result<void> committed) mutable {
        if (!committed) return answered(std::unexpected(std::move(committed.error())));
        answered(std::move(*result));
      });
}

}  // namespace rexec::store
