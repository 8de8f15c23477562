// See run.hpp: the session's life.
#include <algorithm>

#include "src/client/run_impl.hpp"

namespace rexec::client {
namespace {

std::string random_request() {
  std::uint8_t bytes[16];
  random_bytes(bytes);
  return to_hex(bytes);
}

// So long a client that leaves waits until the link has taken its last word.
constexpr Millis kLastWord{2'000};
}  // namespace

// Errors that no second try can mend.
bool is_final(Code code) {
  switch (code) {
    case Code::kControllerDown:
    case Code::kLinkLost:
    case Code::kNodeOffline:
    case Code::kTimeout:
    case Code::kIo:
      return false;
    default:
      return true;
  }
}

Error away_too_long(const JobInfo& job, const std::string& why) {
  const std::string show = "rexec job show " + job.job;
  return {Code::kLinkLost, "the link was away for longer than --reconnect: " + why,
          job.ended ? "how the job ended: " + show : "the job may still run: " + show};
}

Run::Impl::Impl(asio::io_context& context, Connector& connector, RunPlan plan, Observer& observer)
    : executor_(context.get_executor()),
      connector_(connector),
      plan_(std::move(plan)),
      observer_(observer),
      news_(executor_),
      stdin_look_(executor_),
      remote_(executor_),
      submit_(*this),
      absences_(plan_.reconnect),
      retry_(executor_),
      backoff_(static_cast<std::uint64_t>(BootClock::now().time_since_epoch().count())) {
  if (plan_.request.empty()) plan_.request = random_request();
  for (const DagJob& job : plan_.dag) plan_.spec += job.spec;
  if (plan_.stdin_fd >= 0) {
    source_ = std::make_unique<Source>(executor_, plan_.stdin_fd, [this] { take_input(); });
    if (plan_.stdin_end == StdinEnd::kKeys) source_->press_at_end('\x04');
    source_->filter = [this](std::string& bytes) { observer_.typed(bytes); };
  }
  remote_.on_open = [this](wire::StreamId stream, const std::string& kind, const wire::Map& args) {
    return take_stream(stream, kind, args);
  };
  remote_.on_closed = [this](const Error& error) { lost_session(error); };
  remote_.on_room = [this] { pump_all(); };
  for (const JobInfo& job : plan_.jobs) add_job(job);
  share_window();
  accepted_ = !plan_.jobs.empty();
}

Run::Impl::~Impl() {
  if (dialling_) dialling_->owner = nullptr;
}

bool Run::Impl::done() const {
  if (failure_ || gone_ || left_) return true;
  if (!accepted_) return false;
  if (plan_.mode == "detached") return true;
  return std::all_of(jobs_.begin(), jobs_.end(), [](const auto& job) { return job->finished(); });
}

bool Run::Impl::late() const { return patience_left() <= Millis{0}; }

// Of --reconnect, from the first break on.
Millis Run::Impl::patience_left() const { return absences_.link_left(BootClock::now()); }

void Run::Impl::link_is_down() {
  if (!std::exchange(told_down_, true)) observer_.link(false, last_error_.message);
}

// Jobs were accepted or attached: the next break begins a new count.
void Run::Impl::link_is_back() {
  backoff_.reset();
  absences_.link_is_back();
  broke_before_ = false;
  if (std::exchange(told_down_, false)) observer_.link(true, {});
}

// Before the next dial: a moment after the first break, then longer and longer.
net::Task<> Run::Impl::pause() {
  const bool again = std::exchange(broke_before_, true);
  const Millis wait = again ? backoff_.next() : Millis{20};
  const BootTime until = BootClock::now() + std::min(wait, std::max(patience_left(), Millis{0}));
  // Who leaves does not wait for the end of it.
  for (BootTime now = BootClock::now(); now < until && !done(); now = BootClock::now())
    co_await news_.wait_for(std::chrono::ceil<Millis>(until - now));
}

net::Task<> Run::Impl::dial_beside(Connector& connector, net::Patience patience, Millis most,
                                   std::shared_ptr<Dialling> into) {
  auto transport = co_await connector.dial(patience, most);
  into->transport = std::move(transport);
  if (into->owner != nullptr) into->owner->news_.notify();
}

// kInterrupted when the user has left before there was an answer.
net::Task<Result<std::unique_ptr<net::Transport>>> Run::Impl::dial(net::Patience patience,
                                                                   Millis most) {
  const auto mine = std::make_shared<Dialling>(this);
  dialling_ = mine;
  net::spawn(executor_, dial_beside(connector_, patience, most, mine));
  while (!mine->transport && !done()) co_await news_.wait();
  mine->owner = nullptr;
  if (!mine->transport) co_return fail(Code::kInterrupted, "left while connecting");
  co_return std::move(*mine->transport);
}

// False when it is final that there is no session. Until a controller has taken a connection nobody
// can have the submit: then one dial decides, within --connect-timeout.
net::Task<bool> Run::Impl::connect() {
  while (!done()) {
    if (ever_connected_ && late()) co_return false;
    const auto patience = ever_connected_ ? net::Patience::kOneRound : net::Patience::kAfterCut;
    const Millis most = ever_connected_ ? patience_left() : Millis::max();
    auto transport = co_await dial(patience, most);
    if (done()) co_return false;
    if (transport) {
      ever_connected_ = true;
      remote_.start(std::move(*transport), connector_.hello());
      co_return true;
    }
    last_error_ = transport.error();
    if (!ever_connected_ || is_final(last_error_.code)) {
      give_up(last_error_);
      co_return false;
    }
    if (late()) co_return false;
    link_is_down();
    co_await pause();
  }
  co_return false;
}

net::Task<> Run::Impl::hold_session() {
  if (!accepted_)
    submit_.begin();
  else
    attach_missing();
  greeting_ = true;
  auto hello = co_await remote_.greeted();
  if (hello && remote_.alive()) co_await connector_.renew_if_due(remote_);
  greeting_ = false;
  if (!hello) co_return;  // lost_session() has judged it
  while (remote_.alive() && !done() && !late()) {
    const Millis look = absences_.until_next(BootClock::now(), Millis{1'000});
    const bool news = co_await news_.wait_for(look);
    if (!late()) lose_overdue();
    // Whatever was missed, a job without a stream gets one.
    if (!news && remote_.alive() && accepted_ && !told_down_ && !resubmit_) attach_forgotten();
  }
}

// Only what was run here, not what somebody comes to read: that may be wanted again. Nobody waits
// for an answer: a node that does not hear of it keeps the output.
net::Task<> Run::Impl::tell_what_was_read() {
  const bool is_own = plan_.owns && plan_.mode != "detached";
  for (const auto& job : jobs_) {
    if (!is_own || !job->has_much_whole()) continue;
    const auto is_waiting = [&] {
      return remote_.alive() && !failure_ && !gone_ && !left_ &&
             observer_.passed_on(job->index()) == PassedOn::kNotYet;
    };
    while (is_waiting()) co_await news_.wait();
    if (remote_.alive() && observer_.passed_on(job->index()) == PassedOn::kAll)
      remote_.session().notice("job.read", {{"job", job->info().job}});
  }
}

net::Task<RunResult> Run::Impl::run() {
  if (source_ && accepted_) source_->start();
  while (!done()) {
    const bool connected = co_await connect();
    if (!connected) break;
    co_await hold_session();
    if (done()) break;
    absences_.link_broke(BootClock::now());
    if (late()) break;
    if (remote_.alive()) continue;
    if (!accepted_) link_is_down();
    co_await pause();
  }
  co_await tell_what_was_read();
  // Before the session's own end, which is no news.
  const RunResult out = result();
  if (remote_.alive()) remote_.close({Code::kLinkLost, "done", {}});
  // A last word stands behind what is being written.
  const BootTime until = BootClock::now() + kLastWord;
  while ((gone_ || left_) && remote_.is_parting() && BootClock::now() < until)
    co_await news_.wait_for(Millis{5});
  co_return out;
}

RunResult Run::Impl::result() {
  RunResult out;
  out.reached = ever_connected_;
  const bool complete = accepted_ && (plan_.mode == "detached" ||
                                      std::all_of(jobs_.begin(), jobs_.end(),
                                                  [](const auto& job) { return job->finished(); }));
  if (complete) return out;
  if (left_ || gone_) {
    out.lost = true;
  } else if (accepted_) {
    out.lost = true;
    const std::string why = failure_ ? failure_->message : last_error_.message;
    out.error = failure_ ? *failure_ : away_too_long(jobs_.front()->info(), why);
  } else {
    // The submit may have reached the controller: only a definite refusal says that nothing runs.
    out.lost = !failure_ && ever_connected_;
    out.error = failure_ ? *failure_
                         : Error{Code::kLinkLost,
                                 "the link was away for longer than --reconnect before the job was "
                                 "accepted: " +
                                     last_error_.message,
                                 "it may have been started: rexec ps"};
  }
  return out;
}

void Run::Impl::broadcast(const wire::Map& map) {
  if (!accepted_) return keep_unsent(early_, map);
  for (auto& job : jobs_) job->send_signal(map);
}

void Run::Impl::leave() {
  broadcast({{"t", "leave"}});
  left_ = true;
  wake();
}

// Who leaves does not wait for a controller that says nothing.
void Run::Impl::wake() {
  if (greeting_ && remote_.alive()) remote_.close({Code::kLinkLost, "the client is leaving", {}});
  news_.notify();
}

void Run::Impl::ping() {
  if (!remote_.alive()) return;
  remote_.session().ping(BootClock::now());
  remote_.flush();
}

BootTime Run::Impl::last_heard() const { return remote_.last_heard(); }

Run::Run(asio::io_context& context, Connector& connector, RunPlan plan, Observer& observer)
    : impl_(std::make_unique<Impl>(context, connector, std::move(plan), observer)) {}
Run::~Run() = default;
net::Task<RunResult> Run::run() { return impl_->run(); }
void Run::signal(int number) { impl_->broadcast({{"t", "signal"}, {"n", number}}); }
void Run::stop() { impl_->broadcast({{"t", "stop"}}); }
void Run::resize(int rows, int cols) {
  impl_->broadcast({{"t", "resize"}, {"rows", rows}, {"cols", cols}});
}
void Run::close_output(wire::Channel channel) {
  impl_->broadcast({{"t", "close"}, {"channel", static_cast<int>(channel)}});
}
void Run::leave() { impl_->leave(); }
void Run::abandon() { impl_->abandon(); }
void Run::end() {
  impl_->broadcast({{"t", "ended"}});
  impl_->abandon();
}
void Run::drained() { impl_->drained(); }
bool Run::has_reached() const { return impl_->has_reached(); }
void Run::ping() { impl_->ping(); }
BootTime Run::last_heard() const { return impl_->last_heard(); }

}  // namespace rexec::client
