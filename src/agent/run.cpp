// The agent's two processes: the spawner (run), which is everything's parent, and net (run_net),
// which it starts by exec.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <optional>

#include "src/agent/agent.hpp"
#include "src/agent/job_book.hpp"
#include "src/agent/schedules.hpp"
#include "src/agent/session.hpp"
#include "src/base/fail_point.hpp"
#include "src/base/file.hpp"
#include "src/base/log.hpp"
#include "src/job/spawner/spawner.hpp"
#include "src/job/spool/attempt_dir.hpp"
#include "src/os/privilege.hpp"
#include "src/os/seccomp.hpp"

namespace rexec::agent {
namespace {

LogFormat log_format(bool json) { return json ? LogFormat::kJson : LogFormat::kText; }

// The account for net. What net writes is its own, also where the account is younger than the node:
// net/, and the note beside it.
std::optional<os::User> choose_net_user(const std::string& data_dir) {
  if (::geteuid() != 0) return std::nullopt;
  auto user = os::daemon_account(data_dir);
  if (!user)
    log_warn("the network process runs as root, without capabilities",
             {{"why", "there is no user rexec"}, {"mend", "adduser --system --group rexec"}});
  const os::User owner = user.value_or(os::User{"root", 0, 0, "/", "", {0}});
  auto given = os::give_directory(data_dir + "/net", owner);
  if (given) given = give_note(data_dir, owner);
  if (!given) log_warn("the network process may lack its files", {{"why", given.error().message}});
  return user;
}

void confine() {
  os::harden();
  if (os::confine_to_network() == os::Confined::kYes) return;
  log_warn("the network process runs without a filter of system calls",
           {{"why", "this kernel or emulator has no seccomp"}});
}

void say_ready(int& fd, const std::string& line) {
  if (fd < 0) return;
  const std::string text = line + "\n";
  static_cast<void>(!::write(fd, text.data(), text.size()));
  ::close(std::exchange(fd, -1));
}

struct ScheduleTimers {
  explicit ScheduleTimers(const net::Executor& executor) : wake(executor), flush(executor) {}
  net::Timer wake;
  net::Timer flush;
};

using Found = SchedulePorts::Found;

JobBook::OnJob tell(std::function<void(Found, const Error&)> done) {
  return [done = std::move(done)](const std::shared_ptr<LocalJob>& job, const Error& error) {
    done(!job ? Found::kNot : job->ended() ? Found::kEnded : Found::kRuns, error);
  };
}

SchedulePorts ports_of(JobBook& book, ScheduleTimers& timers, std::optional<Schedules>& schedules,
                       Session& session) {
  SchedulePorts ports;
  ports.start = [&book](const job::link::Start& start, const std::string& spec, auto done) {
    book.start(start, spec, tell(std::move(done)));
  };
  ports.find = [&book](const JobId& job, auto done) { book.open({job, 1}, tell(std::move(done))); };
  ports.stop = [&book](const JobId& job) {
    book.open({job, 1}, [](const std::shared_ptr<LocalJob>& local, const Error&) {
      if (local && !local->ended()) local->send(job::link::Stop{});
    });
  };
  ports.wake_after = [&](std::optional<Millis> after) {
    after ? timers.wake.arm(*after, [&] { schedules->wake(); }) : timers.wake.cancel();
  };
  ports.flush_after = [&](std::optional<Millis> after) {
    after ? timers.flush.arm(*after, [&] { schedules->save(); }) : timers.flush.cancel();
  };
  ports.changed = [&] { session.schedules_changed(); };
  return ports;
}

}  // namespace

int run(const RunOptions& options) {
  log_open("agent", LogLevel::kInfo, log_format(options.json_log));
  auto config = load_config(options.data_dir);
  if (!config) {
    log_failure(config.error());
    return 1;
  }
  job::SpawnerOptions spawner;
  spawner.data_dir = options.data_dir;
  spawner.node_name = config->name;
  spawner.net_argv = {"rexec", "agent-net", "--data", options.data_dir};
  if (options.json_log) spawner.net_argv.push_back("--log-json");
  if (options.ready_fd >= 0) {
    spawner.net_argv.insert(spawner.net_argv.end(),
                            {"--ready-fd", std::to_string(job::kNetReadyFd)});
    spawner.ready_fd = options.ready_fd;
  }
  spawner.net_user = choose_net_user(options.data_dir);
  spawner.run_as = config->run_as;
  spawner.allow_users = config->allow_users;
  if (config->keeps_privileges) spawner.most_privileges = job::Privileges::kKeep;
  spawner.kept = job::limits_of(config->keep_bytes, config->keep_read_output);
  spawner.stop_jobs = options.stop_jobs;
  return job::run_spawner(spawner);
}

int run_net(const NetOptions& options) {
  log_open("agent", LogLevel::kInfo, log_format(options.json_log));
  confine();
  auto config = load_config(options.data_dir);
  if (!config) {
    log_failure(config.error());
    return job::kNetFatalExit;
  }
  int status = 0;
  int ready_fd = options.ready_fd;
  const std::string ready =
      wire::Map{{"ready", true}, {"node", config->name}, {"pid", ::getppid()}}.dump();
  asio::io_context context(1);
  Session::Events session_events;
  session_events.on_online = [&] { say_ready(ready_fd, ready); };
  session_events.on_fatal = [&](const Error& error) {
    log_failure("the agent cannot go on", error);
    status = job::kNetFatalExit;
    context.stop();
  };
  Session session(context, options.data_dir, *config, session_events);
  std::optional<Schedules> schedules;  // the book comes first
  JobBook::Events book_events;
  book_events.on_started = [&](LocalJob& job) { session.job_changed(job); };
  book_events.on_held = [&](LocalJob& job) { session.job_changed(job); };
  book_events.on_ended = [&](LocalJob& job) {
    session.job_ended(job);
    schedules->job_ended(job.key().job);
  };
  book_events.on_synced = [&] {
    fail_point(FailPoint::kNetSynced);
    schedules->begin();
    net::spawn(context.get_executor(), session.run());
  };
  // It ends us before it ends itself: so it was killed.
  book_events.on_spawner_gone = [&] {
    session.stop("the agent was killed");
    context.stop();
  };
  JobBook book(context.get_executor(), os::UniqueFd(job::kNetSpawnerFd), config->name, book_events);
  session.use(book);
  ScheduleTimers timers(context.get_executor());
  schedules.emplace(options.data_dir, NodeId{config->node_id},
                    ports_of(book, timers, schedules, session));
  session.use(*schedules);
  asio::signal_set signals(context, SIGTERM, SIGINT);
  signals.async_wait([&](const asio::error_code& error, int) {
    if (error) return;
    session.stop("the agent is stopping");
    context.stop();
  });
  context.run();
  return status;
}

Result<wire::Map> local_status(const std::string& data_dir) {
  auto config = load_config(data_dir);
  if (!config) return std::unexpected(config.error());
  wire::Map out{{"node", config->name},
                {"id", config->node_id},
                {"cluster", config->cluster},
                {"addresses", config->addresses},
                {"run_as", config->run_as},
                {"data", data_dir},
                {"running", false}};
  // The spawner holds a lock for its whole life, and the kernel knows who it is.
  const int fd = ::open((data_dir + "/jobs").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const pid_t holder = fd < 0 ? 0 : job::lock_holder(fd, job::kSpawnerLock);
  if (fd >= 0) ::close(fd);
  if (holder <= 0) return out;
  out["pid"] = holder;
  out["running"] = true;
  return out;
}

}  // namespace rexec::agent
