// See net_process.hpp.
#include "src/job/spawner/net_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "src/base/fail_point.hpp"
#include "src/base/log.hpp"
#include "src/os/privilege.hpp"
#include "src/os/seqpacket.hpp"

namespace rexec::job {
namespace {

constexpr Nanos kFirstPause = std::chrono::milliseconds(100);
constexpr Nanos kLongestPause = std::chrono::seconds(2);
// One that lived so long did not fail at starting.
constexpr Nanos kHealthy = std::chrono::seconds(20);
// More unsent answers than this and net is not read any more: it cannot make the spawner grow.
constexpr std::size_t kMostUnsent = 16;

std::uint8_t receive_buffer[os::kMaxMessage];

}  // namespace

NetProcess::NetProcess(os::EventLoop& loop, const SpawnerOptions& options, Events events)
    : loop_(loop),
      options_(options),
      events_(std::move(events)),
      ready_(options.ready_fd),
      pause_(kFirstPause) {}

NetProcess::~NetProcess() {
  hang_up();
  loop_.forget(process_token_);
  loop_.cancel(retry_token_);
}

void NetProcess::start() {
  auto pair = os::make_seqpacket_pair(os::Blocking::kNo);
  if (!pair) return retry_later();
  auto child = launch(std::move(pair->second));
  if (!child) {
    log_error("cannot start net", {{"error", child.error().message}});
    return retry_later();
  }
  ready_.reset();  // the first one has it
  process_ = std::move(*child);
  born_ = BootClock::now();
  process_token_ = loop_.watch(process_.pidfd.get(), EPOLLIN, [this](std::uint32_t) { on_exit(); });
  socket_ = std::move(pair->first);
  watch_socket();
  fail_point(FailPoint::kSpawnerNetStarted);
  events_.started();
}

void NetProcess::watch_socket() {
  socket_token_ = loop_.watch(socket_.get(), EPOLLIN, [this](std::uint32_t events) {
    if ((events & EPOLLOUT) != 0) flush();
    if (socket_ && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) receive_some();
  });
}

Result<os::Child> NetProcess::launch(os::UniqueFd net_end) {
  if (options_.start_net) return options_.start_net(std::move(net_end));
  auto child = os::fork_process();
  if (child && child->pid == 0) become_net(net_end.get());
  return child;
}

void NetProcess::become_net(int socket) {
  // Its own process group: Ctrl-C at the agent's terminal is for the spawner, which passes it on.
  ::setpgid(0, 0);
  std::vector<int> fds{0, 1, 2, socket};
  if (ready_) fds.push_back(ready_.get());
  if (!os::install_descriptors(fds)) ::_exit(1);
  // Without an account it stays root, but by its uid alone: it is executed without capabilities.
  os::empty_bounding_set();
  if (::geteuid() == 0 && options_.net_user && !os::become(*options_.net_user, os::Keep::kNothing))
    ::_exit(kNetFatalExit);
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  os::reset_signals();
  std::vector<char*> argv;
  for (const auto& a : options_.net_argv) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  ::execv("/proc/self/exe", argv.data());
  ::_exit(kNetFatalExit);
}

void NetProcess::post(link::FromSpawner message, std::vector<os::UniqueFd> fds) {
  if (!socket_) return;
  outbox_.push_back({link::encode(message), std::move(fds)});
  flush();
}

bool NetProcess::send_front() {
  const Letter& letter = outbox_.front();
  std::vector<int> fds;
  for (const auto& fd : letter.fds) fds.push_back(fd.get());
  const os::IoStatus status = os::send_message(socket_.get(), as_bytes(letter.bytes), fds);
  // A closed socket keeps its letter until the exit is noticed.
  if (status == os::IoStatus::kAgain || status == os::IoStatus::kClosed) return false;
  if (status == os::IoStatus::kFailed)
    log_warn("a message to net was dropped", {{"errno", std::to_string(errno)}});
  outbox_.pop_front();
  return true;
}

void NetProcess::flush() {
  if (flushing_) return;  // called by `drained`, which posts more
  flushing_ = true;
  while (socket_) {
    if (outbox_.empty()) events_.drained();
    if (outbox_.empty() || !send_front()) break;
  }
  flushing_ = false;
  if (!socket_) return;
  const std::uint32_t reading = outbox_.size() < kMostUnsent ? EPOLLIN : 0u;
  loop_.change(socket_token_, reading | (outbox_.empty() ? 0u : EPOLLOUT));
}

void NetProcess::receive_some() {
  for (int i = 0; i < 16 && socket_ && outbox_.size() < kMostUnsent; ++i) {
    os::Received got = os::receive_message(socket_.get(), receive_buffer);
    if (got.status == os::IoStatus::kAgain) return;
    if (got.status != os::IoStatus::kDone) return hang_up();
    const auto message = link::decode_to_spawner({receive_buffer, got.size});
    if (!message) {
      log_error("net sent nonsense; it is ended", {{"error", message.error().message}});
      return kill();
    }
    events_.message(*message, std::move(got.fds));
  }
}

void NetProcess::hang_up() {
  loop_.forget(socket_token_);
  socket_.reset();
  outbox_.clear();
}

void NetProcess::on_exit() {
  const auto status = os::reap(process_.pidfd.get());
  const int code = !status ? 0 : status->signal != 0 ? 128 + status->signal : status->code;
  loop_.forget(process_token_);
  process_ = {};
  hang_up();
  if (stopping_ || code == kNetFatalExit) return events_.gone(code);
  log_warn("net has ended and is started again", {{"status", std::to_string(code)}});
  if (BootClock::now() - born_ > kHealthy) pause_ = kFirstPause;
  retry_later();
}

void NetProcess::retry_later() {
  if (stopping_) return;
  retry_token_ = loop_.after(pause_, [this] {
    retry_token_ = 0;
    start();
  });
  pause_ = std::min(pause_ * 2, kLongestPause);
}

void NetProcess::stop() {
  stopping_ = true;
  loop_.cancel(retry_token_);
  if (!running()) return events_.gone(0);
  os::send_signal(process_.pidfd.get(), SIGTERM);
}

void NetProcess::kill() {
  if (running()) os::send_signal(process_.pidfd.get(), SIGKILL);
}

}  // namespace rexec::job
