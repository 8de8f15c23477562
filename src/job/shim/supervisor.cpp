// Events of a running job. How it ends is in supervisor_end.cpp. See supervisor.hpp.
#include "src/job/shim/supervisor.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "src/base/fail_point.hpp"
#include "src/job/shim/disconnect.hpp"
#include "src/os/pty.hpp"

namespace rexec::job {
namespace {

// How far a job runs ahead of its first reader until that says how far it may.
constexpr std::uint64_t kAheadOfFirst = 512 << 10;
// With --overflow block. A reader counts as a window (1 MiB) behind what it was sent and tells each
// MiB: less than both together would hold a job back for ever.
constexpr std::uint64_t kAheadOfBlocked = 5 << 19;

}  // namespace

Supervisor::Supervisor(os::EventLoop& loop, ShimPlan plan, ShimOrder order, StartedJob job,
                       JobTree tree)
    : loop_(loop),
      plan_(std::move(plan)),
      order_(std::move(order)),
      job_(std::move(job)),
      tree_(std::move(tree)),
      spool_(order_.directory.get(), spool_options(plan_.output_quota)),
      output_(loop, spool_, plan_.sha256 ? Sha256::kOn : Sha256::kOff,
              {.progress = [this] { on_output(); }, .closed = [this] { advance(); }}),
      stdin_(loop, [this] { link_.picture.ack = stdin_.ack(), link_.flush(); }),
      link_(loop, spool_, order_.directory.get(),
            {.message = [this](const link::ToShim& m) { return on_message(m); },
             .lost = [this] { on_link_lost(); }}),
      began_(job_.began) {
  link_.picture.pid = job_.record.pid;
  link_.picture.started_ms = job_.record.wall_ms;
  link_.picture.tty = plan_.tty;
  if (job_.in)
    stdin_.open(std::move(job_.in),
                plan_.tty ? StdinPump::Kind::kTerminal : StdinPump::Kind::kPipe);
  link_.picture.ack = stdin_.ack();
}

void Supervisor::run() {
  auto signals = os::open_signals({SIGCHLD});
  children_token_ = loop_.watch(signals->get(), EPOLLIN,
                                [this, fd = signals->get()](std::uint32_t) { on_children(fd); });
  report_token_ = loop_.watch(job_.report.get(), EPOLLIN, [this](std::uint32_t) { on_report(); });
  if (plan_.attach) {
    watched_ = true, readers_ = 1;
    hold_for({0, 0}, kAheadOfFirst);
  } else if (plan_.overflow == Overflow::kBlock) {
    spool_.set_reader({0, 0});
  }
  if (plan_.timeout_ms > 0)
    timeout_ = loop_.after(Millis(plan_.timeout_ms),
                           [this] { stop(Outcome::kTimeout, "timeout", Millis(plan_.grace_ms)); });
  active_ = began_;
  if (plan_.idle_timeout_ms > 0) watch_idleness();
  if (plan_.memory_bytes > 0) watch_memory();
  link_.listen(std::move(job_.listener));
  if (order_.net) link_.connect(std::move(order_.net));
  output_.open(Channel::kOut, std::move(job_.out));
  if (job_.err) output_.open(Channel::kErr, std::move(job_.err));
  // A quick child is a zombie already and its SIGCHLD came before the descriptor. Only now: with no
  // stream open yet its end would be taken for the end of its output.
  on_children(signals->get());
  if (!gone_) loop_.run();
}

// One timer, set anew only when it fires: a job that writes much pays nothing for it. One that is
// held back for a reader or a full disk is not idle by its own doing.
void Supervisor::watch_idleness() {
  const BootTime now = BootClock::now();
  if (output_.held().error != 0 || output_.held().readers != 0) active_ = now;
  const Nanos left = active_ + Millis(plan_.idle_timeout_ms) - now;
  if (left <= Nanos(0)) return stop(Outcome::kTimeout, "idle", Millis(plan_.grace_ms));
  idle_ = loop_.after(left, [this] { watch_idleness(); });
}

void Supervisor::on_output() {
  active_ = BootClock::now();
  if (output_.held().error == ENOENT && directory_gone()) return abandon();
  tell_held();
  if (asked_to_end_ && output_.held().error != 0) advance();
}

void Supervisor::tell_held() {
  link_.picture.held = output_.held();
  if (link_.picture.held.readers != 0 && !watched_) link_.picture.held.readers = link::kUnread;
  link_.flush();
}

void Supervisor::on_children(int signal_fd) {
  while (os::take_signal(signal_fd) != 0) {
  }
  if (reap_pending_) {
    if (const auto status = os::reap(job_.leader.pidfd.get())) on_leader_exit(*status);
  }
  os::reap_orphans(reap_pending_ ? job_.leader.pid : 0);
  advance();
}

// Ends empty when exec closed it; carries a StartFailure otherwise.
void Supervisor::on_report() {
  std::uint8_t bytes[8192];
  const ssize_t n = ::read(job_.report.get(), bytes, sizeof(bytes));
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  loop_.forget(report_token_);
  StartFailure failure;
  if (n > 0 && decode_failure({bytes, static_cast<std::size_t>(n)}, failure)) {
    failure_ = failure;
    return;
  }
  link_.picture.started = true;
  link_.flush();
}

void Supervisor::on_leader_exit(os::ExitStatus status) {
  reap_pending_ = false;
  status_ = status;
  fail_point(FailPoint::kShimLeaderReaped);
  leader_ended_ = BootClock::now();
  if (report_token_ != 0) on_report();
  if (plan_.children != Children::kWait) loop_.cancel(timeout_), loop_.cancel(idle_);
  // Whom a stop's TERM has missed, because it was just being forked, must not take this for the end
  // of its input.
  if (!must_be_empty_) stdin_.close();
  link_.picture.ack = stdin_.ack();
  if (!failure_)
    link_.picture.exited = link::Exited{static_cast<std::uint32_t>(status.code),
                                        static_cast<std::uint32_t>(status.signal)};
  link_.flush();
}

bool Supervisor::on_message(const link::ToShim& message) {
  return std::visit([this](const auto& m) { return handle(m); }, message);
}

bool Supervisor::handle(const link::Stdin& m) {
  active_ = BootClock::now();
  const bool good = stdin_.data(m.offset, m.bytes);
  fail_point(FailPoint::kShimStdinTaken);
  link_.picture.ack = stdin_.ack();
  link_.flush();
  return good;
}

bool Supervisor::handle(const link::StdinEof& m) {
  const bool good = stdin_.end(m.offset);
  fail_point(FailPoint::kShimStdinEnded);
  return good;
}

// To the job's process group, as a terminal would. Before it is reaped its pid cannot be another's.
bool Supervisor::handle(const link::Signal& m) {
  if (m.number == 0 || m.number > static_cast<std::uint32_t>(SIGRTMAX)) return false;
  const int number = static_cast<int>(m.number);
  if (reap_pending_ && ::kill(-job_.leader.pid, number) != 0)
    ::kill(job_.leader.pid, number);  // too young to lead a group
  return true;
}

bool Supervisor::handle(const link::Stop& m) {
  const std::uint64_t grace =
      m.grace_ms == link::kOwnGrace ? plan_.grace_ms : std::min(m.grace_ms, kMaxOrderedGraceMs);
  stop(Outcome::kStopped, "stop", Millis(grace));
  return true;
}

bool Supervisor::handle(const link::Resize& m) {
  if (plan_.tty && job_.terminal) os::resize_pty(job_.terminal.get(), {m.rows, m.cols});
  return true;
}

bool Supervisor::handle(const link::CloseOutput& m) {
  output_.close(plan_.tty ? Channel::kOut : m.channel);
  // A terminal hangs up when its last master is closed.
  if (plan_.tty) stdin_.close(), job_.terminal.reset();
  return true;
}

bool Supervisor::handle(const link::Readers& m) {
  readers_ = m.count;
  if (m.count > 0) {
    readers_back();
  } else {
    readers_gone(m.gone);
  }
  return true;
}

bool Supervisor::handle(const link::Read& m) {
  if (watched_) hold_for({m.out, m.err}, m.ahead);
  output_.retry();
  return true;
}

bool Supervisor::handle(const link::Leave&) {
  leave_running_ = true;
  loop_.cancel(disconnect_timer_);
  return true;
}

void Supervisor::on_link_lost() {
  if (finished_) return leave();
  readers_ = 0;
  readers_gone(link::Gone::kUnknown);
}

// ---- readers -----------------------------------------------------------------------------------

void Supervisor::hold_for(PerStream<std::uint64_t> reader, std::uint64_t ahead) {
  spool_.set_reader(reader);
  if (plan_.overflow == Overflow::kBlock && ahead == 0) ahead = kAheadOfBlocked;
  spool_.set_ahead(ahead);
  // What it has read is known, and the job waits for nobody.
  if (plan_.overflow == Overflow::kDrop) spool_.release_readers();
}

void Supervisor::readers_back() {
  loop_.cancel(disconnect_timer_);
  alone_since_.reset();
  if (watched_) return;
  // Held from the oldest byte there is until the reader says how far it is.
  watched_ = true;
  const auto& segments = spool_.segments();
  auto oldest = spool_.totals();
  if (!segments.empty()) oldest = {segments.front().out_base, segments.front().err_base};
  spool_.set_reader(oldest);
  if (plan_.overflow == Overflow::kDrop) spool_.release_readers();
  if (!finished_) tell_held();
}

// While the reader may come back in time, its place is kept and the job held back for it: nothing
// it has not read is dropped.
void Supervisor::readers_gone(link::Gone how) {
  if (!watched_) return;
  loop_.cancel(disconnect_timer_);
  const BootTime now = BootClock::now();
  if (!alone_since_) alone_since_ = now;
  const OnDisconnect rule = leave_running_ ? OnDisconnect::kKeep : plan_.on_disconnect;
  const Fate fate = fate_of({how, *alone_since_, now}, {rule, Millis(plan_.on_disconnect_ms)});
  if (fate.at <= now) return disconnect_expired(fate.reason);
  disconnect_timer_ = loop_.after(fate.at - now, [this, reason = fate.reason] {
    disconnect_timer_ = 0;
    disconnect_expired(reason);
  });
}

void Supervisor::disconnect_expired(std::string_view reason) {
  watched_ = false;
  alone_since_.reset();
  // With block what nobody has read is kept for the reader who will come: up to the quota, for
  // there is no pace to keep.
  if (plan_.overflow == Overflow::kBlock)
    spool_.set_ahead(0);
  else
    spool_.release_readers();
  if (!reason.empty() && !leave_running_ && !asked_to_end_) {
    // Nobody sends more. A server may wait for its client's end rather than heed TERM.
    if (!plan_.tty) stdin_.close();
    stop(Outcome::kStopped, std::string(reason), Millis(plan_.grace_ms));
  }
  output_.retry();
}

}  // namespace rexec::job
