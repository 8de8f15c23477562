// See spawner.hpp. The parts are net_process (the process net), attempts (the jobs) and this: the
// data directory, signals, and passing messages from the one to the other.
#include "src/job/spawner/spawner.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "src/base/fail_point.hpp"
#include "src/base/file.hpp"
#include "src/base/log.hpp"
#include "src/base/text.hpp"
#include "src/job/spawner/attempts.hpp"
#include "src/job/spawner/net_process.hpp"
#include "src/os/memory.hpp"
#include "src/os/privilege.hpp"

namespace rexec::job {
namespace {

constexpr Nanos kRestAfter = std::chrono::seconds(5);
constexpr Nanos kSyncPatience = std::chrono::seconds(5);
// Of the five seconds a TERM may take: jobs first, so that net can still report their ends, then
// net.
constexpr Millis kJobGrace = std::chrono::milliseconds(1500);
constexpr Nanos kJobsDeadline = std::chrono::milliseconds(2500);
constexpr Nanos kNetDeadline = std::chrono::milliseconds(1500);

Result<void> check_private(int fd, const std::string& path) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return fail_errno(path, errno);
  if ((status.st_mode & 022) != 0)
    return fail(Code::kConfig, path + " can be written to by others",
                "chmod go-w " + shell_quoted(path));
  if (status.st_uid != ::geteuid() && ::geteuid() != 0)
    return fail(Code::kConfig, path + " belongs to another user");
  return {};
}

// jobs/ is the spawner's alone: net's user may own the data directory around it, but nothing in
// here.
Result<os::UniqueFd> open_jobs(const std::string& data_dir) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  os::UniqueFd data(::open(data_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!data) return fail_errno(data_dir, errno);
  if (auto safe = check_private(data.get(), data_dir); !safe) return std::unexpected(safe.error());
  if (::mkdirat(data.get(), "jobs", 0700) != 0 && errno != EEXIST)
    return fail_errno(data_dir + "/jobs", errno);
  os::UniqueFd jobs(::openat(data.get(), "jobs", kFlags));
  struct stat status{};
  if (!jobs || ::fstat(jobs.get(), &status) != 0) return fail_errno(data_dir + "/jobs", errno);
  if (status.st_uid != ::geteuid() || (status.st_mode & 077) != 0)
    return fail(Code::kConfig, data_dir + "/jobs is not private to the agent's user");
  return jobs;
}

Result<void> lock_jobs(int jobs, const std::string& data_dir) {
  if (take_lock(jobs, kSpawnerLock)) return {};
  const pid_t holder = lock_holder(jobs, kSpawnerLock);
  return fail(Code::kBusy, "another agent (pid " + std::to_string(holder) + ") uses " + data_dir);
}

void prepare_process() {
  os::hide_memory();
  ::umask(077);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  if (::geteuid() != 0) return;
  const os::UniqueFd score(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (score) (void)os::write_all(score.get(), as_bytes("-900"));
}

class Spawner {
 public:
  Spawner(const SpawnerOptions& options, os::UniqueFd jobs, NodeDefaults defaults)
      : options_(options),
        attempts_(loop_, std::move(jobs), std::move(defaults),
                  UserPolicy{{}, options.run_as, options.allow_users, options.most_privileges},
                  find_cgroups(), options.kept,
                  [this](link::FromSpawner m, std::vector<os::UniqueFd> fds) {
                    net_.post(std::move(m), std::move(fds));
                  }),
        net_(loop_, options_,
             {.message = [this](const link::ToSpawner& m,
                                std::vector<os::UniqueFd> fds) { on_message(m, std::move(fds)); },
              .started = [this] { resync(); },
              .drained = [this] { tell_more(); },
              .gone = [this](int status) { on_net_gone(status); }}) {}

  int run() {
    auto signals = os::open_signals({SIGTERM, SIGINT, SIGCHLD});
    if (!signals) return 1;
    auto token = loop_.watch(signals->get(), EPOLLIN, [this, fd = signals->get()](std::uint32_t) {
      while (const int signal = os::take_signal(fd))
        signal == SIGCHLD ? attempts_.continue_stopped() : stop();
    });
    attempts_.scan();
    attempts_.retire();
    fail_point(FailPoint::kSpawnerScanned);
    net_.start();
    loop_.run();
    loop_.forget(token);
    return status_;
  }

 private:
  void on_message(const link::ToSpawner& message, std::vector<os::UniqueFd> fds) {
    if (const auto* start = std::get_if<link::Start>(&message)) {
      if (stopping_) return;
      fail_point(FailPoint::kSpawnerStartRead);
      return attempts_.start(*start, fds.empty() ? os::UniqueFd() : std::move(fds[0]));
    }
    if (const auto* open = std::get_if<link::Open>(&message)) return attempts_.report(open->key);
    if (const auto* done = std::get_if<link::Reported>(&message)) return attempts_.reported(*done);
    if (const auto* gone = std::get_if<link::Remove>(&message)) return attempts_.remove(gone->key);
    if (const auto* read = std::get_if<link::WasRead>(&message))
      return attempts_.was_read(read->key);
    if (const auto* halt = std::get_if<link::Halt>(&message)) return attempts_.halt(*halt);
    if (std::holds_alternative<link::TellAll>(message)) attempts_.forget_reports();
    if (!std::holds_alternative<link::Newer>(message)) resync();
  }

  void resync() {
    to_tell_ = attempts_.unreported();
    syncing_ = true;
    loop_.cancel(sync_timer_);
    // Unkillable processes of a lost job must not keep the node from coming up.
    sync_timer_ = loop_.after(kSyncPatience, [this] { finish_sync(); });
    net_.flush();
  }

  // One attempt at a time: a node with many must not queue their descriptors all at once.
  void tell_more() {
    while (!to_tell_.empty() && net_.idle()) {
      const AttemptKey key = to_tell_.back();
      to_tell_.pop_back();
      attempts_.report(key);
    }
    if (syncing_ && to_tell_.empty() && attempts_.settled()) finish_sync();
  }

  void finish_sync() {
    if (!std::exchange(syncing_, false)) return;
    loop_.cancel(sync_timer_);
    net_.post(link::SyncDone{});
    loop_.after(kRestAfter, [] { os::return_unused_memory(); });
  }

  void stop() {
    if (std::exchange(stopping_, true)) return;
    attempts_.stand_still();
    log_info("ending", {{"jobs", options_.stop_jobs ? "stopped" : "left running"}});
    if (!options_.stop_jobs || !attempts_.any_alive()) return stop_net();
    attempts_.stop_all(kJobGrace);
    deadline_ = BootClock::now() + kJobsDeadline;
    wait_for_jobs();
  }

  void wait_for_jobs() {
    if (!attempts_.any_alive() || BootClock::now() >= deadline_) return stop_net();
    loop_.after(std::chrono::milliseconds(20), [this] { wait_for_jobs(); });
  }

  void stop_net() {
    loop_.after(kNetDeadline, [this] { net_.kill(); });
    net_.stop();
  }

  void on_net_gone(int status) {
    if (!stopping_) log_error("net gave up", {{"status", std::to_string(status)}});
    status_ = stopping_ ? 0 : status;
    loop_.stop();
  }

  os::EventLoop loop_;
  SpawnerOptions options_;
  Attempts attempts_;
  NetProcess net_;
  std::vector<AttemptKey> to_tell_;
  bool syncing_ = false;
  os::EventLoop::Token sync_timer_ = 0;
  bool stopping_ = false;
  BootTime deadline_;
  int status_ = 0;
};

Result<int> run(const SpawnerOptions& options) {
  auto jobs = open_jobs(options.data_dir);
  if (!jobs) return std::unexpected(jobs.error());
  if (auto locked = lock_jobs(jobs->get(), options.data_dir); !locked)
    return std::unexpected(locked.error());
  // Before the limits and signals are changed: jobs get them as the agent found them.
  NodeDefaults defaults = node_defaults(options.node_name);
  prepare_process();
  Spawner spawner(options, std::move(*jobs), std::move(defaults));
  return spawner.run();
}

}  // namespace

int run_spawner(const SpawnerOptions& options) {
  const auto status = run(options);
  if (status) return *status;
  log_error(status.error().message, {{"hint", status.error().hint}});
  return 1;
}

}  // namespace rexec::job
