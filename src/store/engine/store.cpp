// See store.hpp. Here are the thread and the queue, with the one mutex of the controller besides
// the log's; what happens to a group is engine.cpp.
#include "src/store/engine/store.hpp"

#include <SQLiteCpp/Exception.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "src/base/check.hpp"
#include "src/store/database/damage.hpp"
#include "src/store/engine/engine.hpp"

namespace rexec::store {

class Store::Thread {
 public:
  explicit Thread(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {}

  Engine& engine() { return *engine_; }
  bool started() const { return thread_.joinable(); }
  void start() {
    thread_ = std::thread([this] { loop(); });
  }
  void add(Pending pending);
  void stop();

 private:
  void loop();
  bool wait_for_work(std::unique_lock<std::mutex>& lock);
  bool due(BootTime now) const;
  void serve(std::unique_lock<std::mutex>& lock);
  void take_copies();
  void copy_on();
  void end_copy(Result<void> result);
  bool take(std::vector<Pending>& group, std::size_t most);
  bool take_more(std::vector<Pending>& group, BootTime began);
  void check_file();

  std::unique_ptr<Engine> engine_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Pending> queue_;   // mutex_
  std::deque<Pending> copies_;  // backups that were asked for; the first is being made
  std::unique_ptr<BackupRun> copy_;
  std::size_t urgent_ = 0;  // mutex_: how many in the queue may not wait
  BootTime oldest_{};       // mutex_: when the queue began to fill
  bool stopping_ = false;   // mutex_
  BootTime checked_ = BootClock::now();
  std::thread thread_;
};

void Store::Thread::add(Pending pending) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_) {
      if (queue_.empty()) oldest_ = BootClock::now();
      if (pending.urgency == Urgency::kNow) ++urgent_;
      queue_.push_back(std::move(pending));
      changed_.notify_one();
      return;
    }
  }
  if (pending.committed) pending.committed(fail(Code::kBusy, "the controller is ending"));
}

bool Store::Thread::due(BootTime now) const {
  const StoreOptions& options = engine_->options();
  return stopping_ || urgent_ > 0 || !copies_.empty() || queue_.size() >= options.group_size ||
         (!queue_.empty() && now - oldest_ >= options.behind_wait);
}

// False when there is nothing more to do, ever.
bool Store::Thread::wait_for_work(std::unique_lock<std::mutex>& lock) {
  for (BootTime now = BootClock::now(); !due(now); now = BootClock::now()) {
    Nanos pause = engine_->options().file_check;
    if (!queue_.empty()) pause = oldest_ + engine_->options().behind_wait - now;
    changed_.wait_for(lock, pause);
    lock.unlock();
    check_file();
    lock.lock();
  }
  return !queue_.empty() || !copies_.empty();
}

void Store::Thread::check_file() {
  const BootTime now = BootClock::now();
  if (now - checked_ < engine_->options().file_check) return;
  checked_ = now;
  engine_->check_file();
}

// mutex_ held. Stops at a backup, which is no part of a transaction.
bool Store::Thread::take(std::vector<Pending>& group, std::size_t most) {
  const std::size_t before = group.size();
  while (!queue_.empty() && group.size() < most && queue_.front().backup_path.empty()) {
    if (queue_.front().urgency == Urgency::kNow) --urgent_;
    group.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return group.size() > before;
}

bool Store::Thread::take_more(std::vector<Pending>& group, BootTime began) {
  const StoreOptions& options = engine_->options();
  if (BootClock::now() - began >= options.group_wait) return false;
  const std::lock_guard lock(mutex_);
  return take(group, options.group_size);
}

// mutex_ held. What was queued before a backup is in it; what comes while it is made is too.
void Store::Thread::take_copies() {
  while (!queue_.empty() && !queue_.front().backup_path.empty()) {
    --urgent_;
    copies_.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
}

void Store::Thread::end_copy(Result<void> result) {
  copy_.reset();
  Pending done = std::move(copies_.front());
  copies_.pop_front();
  if (done.committed) done.committed(std::move(result));
}

// As much as holds up no commit for longer than another commit would.
void Store::Thread::copy_on() {
  constexpr int kPages = 256;
  if (copies_.empty()) return;
  Pending& asked = copies_.front();
  if (!copy_) {
    auto run = BackupRun::begin(engine_->database(), asked.backup_path, asked.backup_files);
    if (!run) return end_copy(std::unexpected(run.error()));
    copy_ = std::move(*run);
  }
  const auto step = copy_->step(kPages);
  if (!step) return end_copy(std::unexpected(step.error()));
  if (*step) end_copy({});
}

// One group, and a piece of a backup. Called with work to do.
void Store::Thread::serve(std::unique_lock<std::mutex>& lock) {
  std::vector<Pending> group;
  take_copies();
  take(group, engine_->options().group_size);
  lock.unlock();
  const BootTime began = BootClock::now();
  if (!group.empty())
    engine_->run_group(group, [&](std::vector<Pending>& to) { return take_more(to, began); });
  group.clear();  // what the operations captured is freed here, outside the lock
  copy_on();
  check_file();
  lock.lock();
  oldest_ = BootClock::now();
}

void Store::Thread::loop() {
  std::unique_lock lock(mutex_);
  while (wait_for_work(lock)) {
    serve(lock);
    if (!stopping_ || !queue_.empty()) continue;
    lock.unlock();
    while (!copies_.empty()) end_copy(fail(Code::kBusy, "the controller is ending"));
    lock.lock();
  }
}

void Store::Thread::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
  std::unique_lock lock(mutex_);
  while (!queue_.empty() || !copies_.empty()) serve(lock);  // never started: it is done here
  lock.unlock();
  engine_->close();
}

Result<std::unique_ptr<Store>> Store::open(StoreOptions options) {
  auto engine = Engine::open(std::move(options));
  if (!engine) return std::unexpected(engine.error());
  return std::unique_ptr<Store>(new Store(std::make_unique<Thread>(std::move(*engine))));
}

Store::Store(std::unique_ptr<Thread> thread) : thread_(std::move(thread)) {}
Store::~Store() { stop(); }
void Store::stop() { thread_->stop(); }

Result<Snapshot> Store::load_all() {
  check(!thread_->started(), "load_all comes before start");
  Database& db = thread_->engine().database();
  try {
    return Snapshot{load_nodes(db),        load_users(db),           load_certificates(db),
                    load_tokens(db),       load_unfinished_jobs(db), load_request_keys(db),
                    load_removed_keys(db), load_terms(db),           load_schedules(db),
                    load_stops(db),        db.audit_head()};
  } catch (const OperationError& error) {
    return std::unexpected(error.error());
  } catch (const SQLite::Exception& error) {
    return std::unexpected(damaged(db.path(), error.what()));
  }
}

Result<void> Store::run_now(Operation operation) {
  check(!thread_->started(), "run_now comes before start");
  Result<void> result;
  std::vector<Pending> group;
  group.push_back(
      {std::move(operation), [&](Result<void> r) { result = std::move(r); }, {}, {}, {}});
  thread_->engine().run_group(group, [](std::vector<Pending>&) { return false; });
  return result;
}

Result<void> Store::begin_run(const std::string& run) {
  check(!thread_->started(), "begin_run comes before start");
  return thread_->engine().begin_run(run);
}

std::uint64_t Store::run_commits() const { return thread_->engine().run_commits(); }

void Store::start() { thread_->start(); }

void Store::post(Operation operation, Committed committed, Urgency urgency) {
  thread_->add({std::move(operation), std::move(committed), urgency, {}, {}});
}

void Store::backup(std::string path, std::vector<BackupFile> files, Committed done) {
  check(!path.empty(), "a backup goes somewhere");
  thread_->add({{}, std::move(done), Urgency::kNow, std::move(path), std::move(files)});
}

bool Store::disk_low() const { return thread_->engine().disk_low(); }

Store::Counters Store::counters() const {
  return {thread_->engine().operations(), thread_->engine().commits()};
}

}  // namespace rexec::store
