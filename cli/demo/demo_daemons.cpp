#include "cli/demo/demo_daemons.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "src/base/file.hpp"
#include "src/base/text.hpp"
#include "src/os/proc.hpp"

namespace rexec::cli {
namespace {

constexpr Millis kStopWithin{5'000};

int millis_until(BootTime end) {
  const auto left = std::chrono::duration_cast<Millis>(end - BootClock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
}

// In the child: nothing of the parent's but the log and the pipe, and its end when the demo is
// killed.
[[noreturn]] void become(const std::vector<std::string>& words, const std::string& log, int ready) {
  os::reset_signals();
  ::setpgid(0, 0);  // the terminal's Ctrl-C is the demo's business
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  const int null = ::open("/dev/null", O_RDWR);
  const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  if (null >= 0 && out >= 0 && os::install_descriptors({null, out, out, ready})) {
    ::execve("/proc/self/exe", argv.data(), environ);
  }
  ::_exit(127);
}

bool has_ended(const os::Child& child, Millis limit) {
  pollfd wait{child.pidfd.get(), POLLIN, 0};
  return ::poll(&wait, 1, static_cast<int>(limit.count())) > 0;
}

}  // namespace

DemoDaemons::DemoDaemons() {
  sigset_t ending;
  sigemptyset(&ending);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) sigaddset(&ending, number);
  ::sigprocmask(SIG_BLOCK, &ending, nullptr);
  signals_.reset(::signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK));
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
}

// 0 when there is none.
int DemoDaemons::take_signal() {
  signalfd_siginfo info{};
  return ::read(signals_.get(), &info, sizeof info) == sizeof info
             ? static_cast<int>(info.ssi_signo)
             : 0;
}

Result<void> DemoDaemons::start(const std::string& name, std::vector<std::string> words,
                                const std::string& log) {
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) return fail_errno("pipe", errno);
  os::UniqueFd read_end(pipe[0]);
  os::UniqueFd write_end(pipe[1]);
  words.insert(words.begin(), "rexec");
  words.insert(words.end(), {"--ready-fd", "3"});
  Result<os::Child> child = os::fork_process();
  if (!child) return std::unexpected(child.error());
  if (child->pid == 0) become(words, log, write_end.get());
  daemons_.push_back({name, log, std::move(*child), std::move(read_end)});
  return {};
}

Result<void> DemoDaemons::died(const Daemon& daemon) const {
  const Result<std::string> log = read_file(daemon.log);
  std::string hint;
  if (log) {
    std::vector<std::string> lines = split(*log, '\n');
    while (!lines.empty() && lines.back().empty()) lines.pop_back();
    const std::size_t from = lines.size() > 3 ? lines.size() - 3 : 0;
    for (std::size_t i = from; i < lines.size(); ++i) hint += (hint.empty() ? "" : "\n") + lines[i];
  }
  return fail(Code::kInternal, "the demo's " + daemon.name + " ended by itself", hint);
}

Result<void> DemoDaemons::read_ready(Daemon& daemon) {
  char line[512];
  const ssize_t n = ::read(daemon.ready.get(), line, sizeof line);
  if (n <= 0) return died(daemon);
  daemon.ready.reset();
  return {};
}

Result<void> DemoDaemons::wait_ready(Millis limit) {
  const BootTime end = BootClock::now() + limit;
  while (true) {
    std::vector<pollfd> waits{{signals_.get(), POLLIN, 0}};
    std::vector<Daemon*> waiting;
    for (Daemon& daemon : daemons_) {
      if (!daemon.ready) continue;
      waits.push_back({daemon.ready.get(), POLLIN, 0});
      waiting.push_back(&daemon);
    }
    if (waiting.empty()) return {};
    if (::poll(waits.data(), waits.size(), millis_until(end)) == 0 && BootClock::now() >= end) {
      return fail(Code::kTimeout, "the demo's " + waiting[0]->name + " was not ready within " +
                                      format_duration(limit));
    }
    if (waits[0].revents != 0) return fail(Code::kLinkLost, "interrupted");
    for (std::size_t i = 0; i < waiting.size(); ++i) {
      if (waits[i + 1].revents == 0) continue;
      const Result<void> ready = read_ready(*waiting[i]);
      if (!ready) return ready;
    }
  }
}

Result<void> DemoDaemons::wait_end() {
  std::vector<pollfd> waits{{signals_.get(), POLLIN, 0}};
  for (const Daemon& daemon : daemons_) waits.push_back({daemon.child.pidfd.get(), POLLIN, 0});
  while (true) {
    if (::poll(waits.data(), waits.size(), -1) < 0) continue;
    if (waits[0].revents != 0 && take_signal() != 0) return {};
    for (std::size_t i = 0; i < daemons_.size(); ++i) {
      if (waits[i + 1].revents != 0) return died(daemons_[i]);
    }
  }
}

Result<int> DemoDaemons::run_command(const std::string& command) {
  Result<os::Child> child = os::fork_process();
  if (!child) return std::unexpected(child.error());
  if (child->pid == 0) {
    os::reset_signals();
    ::execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  int kill_with = SIGTERM;
  while (true) {
    pollfd waits[] = {{child->pidfd.get(), POLLIN, 0}, {signals_.get(), POLLIN, 0}};
    if (::poll(waits, 2, -1) < 0) continue;
    if (waits[0].revents != 0) {
      if (const auto status = os::reap(child->pidfd.get())) {
        return status->signal != 0 ? 128 + status->signal : status->code;
      }
    }
    // Ctrl-C reached the command too, which shares the terminal; other signals are passed on.
    const int number = waits[1].revents != 0 ? take_signal() : 0;
    if (number == SIGTERM || number == SIGHUP) {
      os::send_signal(child->pidfd.get(), std::exchange(kill_with, SIGKILL));
    }
  }
}

void DemoDaemons::stop_all() {
  for (auto daemon = daemons_.rbegin(); daemon != daemons_.rend(); ++daemon) {
    // The agents together; the controller, which was started first, after them.
    const bool is_first = daemon + 1 == daemons_.rend();
    if (!is_first) os::send_signal(daemon->child.pidfd.get(), SIGTERM);
  }
  const BootTime end = BootClock::now() + kStopWithin;
  for (auto daemon = daemons_.rbegin(); daemon != daemons_.rend(); ++daemon) {
    if (daemon + 1 == daemons_.rend()) os::send_signal(daemon->child.pidfd.get(), SIGTERM);
    if (!has_ended(daemon->child, Millis{millis_until(end)})) {
      os::send_signal(daemon->child.pidfd.get(), SIGKILL);
      has_ended(daemon->child, Millis{1'000});
    }
    os::reap(daemon->child.pidfd.get());
  }
  daemons_.clear();
  // Shims and jobs that outlived their agent are ours now.
  for (const BootTime give_up = BootClock::now() + kStopWithin; BootClock::now() < give_up;) {
    os::reap_orphans(0);
    const auto left = os::descendants(os::list_processes(), ::getpid());
    if (left.empty()) return;
    for (const os::ProcessInfo& process : left) os::kill_exactly(process, SIGKILL);
    ::poll(nullptr, 0, 5);
  }
}

}  // namespace rexec::cli
