#include "src/client/run.hpp"

#include <algorithm>
#include <map>

#include "src/client/attachment.hpp"

namespace rexec::client {
namespace {

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

std::string random_request() {
  std::uint8_t bytes[16];
  random_bytes(bytes);
  return to_hex(bytes);
}

}  // namespace

class Run::Impl {
 public:
  Impl(asio::io_context& context, Connector& connector, RunPlan plan, Observer& observer)
      : executor_(context.get_executor()),
        connector_(connector),
        plan_(std::move(plan)),
        observer_(observer),
        news_(executor_),
        remote_(executor_),
        submit_(*this),
        retry_(executor_),
        backoff_(static_cast<std::uint64_t>(BootClock::now().time_since_epoch().count())) {
    if (plan_.request.empty()) plan_.request = random_request();
    if (plan_.stdin_fd >= 0) {
      source_ = std::make_unique<Source>(executor_, plan_.stdin_fd, [this] { pump_all(); });
      source_->filter = [this](std::string& bytes) { observer_.typed(bytes); };
    }
    remote_.on_open = [this](wire::StreamId stream, const std::string& kind,
                             const wire::Map& args) { return take_stream(stream, kind, args); };
    remote_.on_closed = [this](const Error& error) { lost_session(error); };
    remote_.on_room = [this] { pump_all(); };
    for (const JobInfo& job : plan_.jobs) add_job(job);
    accepted_ = !plan_.jobs.empty();
  }

  net::Task<RunResult> run();
  void broadcast(const wire::Map& map);
  void leave();
  void abandon() {
    gone_ = true;
    news_.notify();
  }
  void drained() {
    for (auto& job : jobs_) job->grant();
  }

 private:
  // The stream of the submit itself: spec up, one answer down.
  class Submit final : public StreamHandler {
   public:
    explicit Submit(Impl& owner) : owner_(owner) {}
    void on_data(wire::Channel, ByteSpan) override {}
    void on_event(const wire::Map& map) override { owner_.on_accepted(map); }
    void on_end() override {
      if (owner_.remote_.alive()) owner_.remote_.forget(stream);
    }
    void on_reset(const Error& error) override {
      if (error.code != Code::kLinkLost && is_final(error.code))
        owner_.give_up(error);
      else if (error.code != Code::kLinkLost)
        owner_.refused_for_now(error);
    }
    void on_credit(std::uint64_t) override { pump(); }
    void begin();
    void pump();
    wire::StreamId stream = 0;

   private:
    Impl& owner_;
    std::size_t sent_ = 0;
    bool ended_ = false;
  };

  // An attach stream whose job is not known yet: OPEN is a control frame and overtakes the answer
  // to the submit. Its own frames come after that answer; only a RESET may be earlier.
  struct Early final : public StreamHandler {
    void on_data(wire::Channel, ByteSpan) override {}
    void on_event(const wire::Map&) override {}
    void on_end() override {}
    void on_reset(const Error& error) override { broken = error; }
    wire::StreamId stream = 0;
    std::string job;
    std::optional<Error> broken;
  };

  void add_job(const JobInfo& info);
  void bind_early();
  void on_accepted(const wire::Map& map);
  StreamHandler* take_stream(wire::StreamId stream, const std::string& kind, const wire::Map& args);
  void lost_session(const Error& error);
  void on_broken(Attachment& job, const Error& error);
  void attach_missing();
  void schedule_retry();
  void pump_all();
  void give_up(const Error& error) {
    if (!failure_) failure_ = error;
    news_.notify();
  }
  void refused_for_now(const Error& error);
  bool done() const;
  bool late() const;
  net::Task<bool> connect();
  net::Task<> hold_session();
  RunResult result();

  net::Executor executor_;
  Connector& connector_;
  RunPlan plan_;
  Observer& observer_;
  net::Notifier news_;
  std::unique_ptr<Source> source_;
  std::vector<std::unique_ptr<Attachment>> jobs_;
  std::map<std::string, Attachment*> by_id_;
  Remote remote_;
  Submit submit_;
  net::Timer retry_;
  net::Backoff backoff_;
  std::vector<wire::Map> early_;  // signals from before the jobs were known
  std::vector<std::unique_ptr<Early>> early_streams_;
  std::optional<Error> failure_;
  Error last_error_;
  BootTime down_since_{};
  bool accepted_ = false;
  bool ever_connected_ = false;
  bool told_down_ = false;
  bool resubmit_ = false;
  bool left_ = false;
  bool gone_ = false;
};

void Run::Impl::Submit::begin() {
  sent_ = 0;
  ended_ = false;
  const RunPlan& plan = owner_.plan_;
  stream = owner_.remote_.open("submit",
                               {{"request", plan.request},
                                {"targets", plan.targets},
                                {"mode", plan.mode},
                                {"spec_size", plan.spec.size()},
                                {"stdin", plan.stdin_fd >= 0},
                                {"resume", owner_.resubmit_}},
                               *this);
  pump();
}

void Run::Impl::Submit::pump() {
  if (!owner_.remote_.alive() || ended_ || stream == 0) return;
  wire::Session& session = owner_.remote_.session();
  const std::string& spec = owner_.plan_.spec;
  while (sent_ < spec.size()) {
    const std::size_t n =
        std::min<std::size_t>({session.sendable(stream), wire::kMaxData, spec.size() - sent_});
    if (n == 0) return;
    session.send_data(stream, wire::Channel::kSpec,
                      wire::make_frame(wire::FrameType::kData, stream,
                                       as_bytes(std::string_view(spec).substr(sent_, n))));
    sent_ += n;
  }
  ended_ = true;
  session.end(stream);
  owner_.remote_.flush();
}

void Run::Impl::add_job(const JobInfo& info) {
  const std::size_t index = jobs_.size();
  Attachment::Hooks hooks;
  hooks.on_attached = [this](Attachment&) {
    if (std::exchange(told_down_, false)) observer_.link(true, {});
    down_since_ = {};
  };
  hooks.on_finished = [this](Attachment&) { news_.notify(); };
  hooks.on_broken = [this](Attachment& job, const Error& error) { on_broken(job, error); };
  jobs_.push_back(
      std::make_unique<Attachment>(index, info, plan_, observer_, source_.get(), std::move(hooks)));
  by_id_[info.job] = jobs_.back().get();
}

void Run::Impl::on_accepted(const wire::Map& map) {
  if (wire::text_or(map, "t") != "accepted") return;
  const wire::Map& list = wire::child_or_empty(map, "jobs");
  std::vector<JobInfo> infos;
  for (const wire::Map& entry : list) {
    JobInfo info{wire::text_or(entry, "job"),
                 wire::text_or(entry, "node"),
                 wire::text_or(entry, "ticket"),
                 static_cast<std::uint32_t>(wire::u64_or(entry, "attempt", 1)),
                 0,
                 0};
    infos.push_back(info);
    const auto known = by_id_.find(info.job);
    if (known != by_id_.end())
      known->second->set_ticket(info.ticket);
    else
      add_job(info);
  }
  const bool first = !std::exchange(accepted_, true);
  const bool again = std::exchange(resubmit_, false);
  if (first && !again) observer_.accepted(wire::text_or(map, "run"), infos);
  bind_early();
  if (plan_.mode == "detached") return news_.notify();
  for (const wire::Map& entry : list) {
    // A node that could not be reached has its record at once.
    const wire::Map& record = wire::child_or_empty(entry, "record");
    if (record.contains("outcome")) {
      Attachment& job = *by_id_[wire::text_or(entry, "job")];
      job.on_event({{"t", "end"}, {"record", record}});
      job.on_end();
    }
  }
  if (again) attach_missing();
  for (const wire::Map& signal : std::exchange(early_, {})) broadcast(signal);
  if (source_ && first) source_->start();
}

void Run::Impl::bind_early() {
  for (const auto& early : std::exchange(early_streams_, {})) {
    const auto at = by_id_.find(early->job);
    if (at == by_id_.end() || at->second->bound() || at->second->finished()) {
      remote_.forget(early->stream);
      remote_.session().reset(early->stream, {Code::kProtocol, "unexpected stream", {}});
      continue;
    }
    at->second->bind(remote_, early->stream);
    remote_.hand_over(early->stream, *at->second);
    if (early->broken) at->second->on_reset(*early->broken);
  }
}

StreamHandler* Run::Impl::take_stream(wire::StreamId stream, const std::string& kind,
                                      const wire::Map& args) {
  const std::string job = wire::text_or(args, "job");
  if (kind == "attach" && !accepted_ && early_streams_.size() < 1'024) {
    early_streams_.push_back(std::make_unique<Early>());
    early_streams_.back()->stream = stream;
    early_streams_.back()->job = job;
    return early_streams_.back().get();
  }
  const auto at = by_id_.find(job);
  if (kind != "attach" || at == by_id_.end() || at->second->bound() || at->second->finished())
    return nullptr;
  at->second->bind(remote_, stream);
  return at->second;
}

void Run::Impl::lost_session(const Error& error) {
  last_error_ = error;
  early_streams_.clear();
  if (is_final(error.code)) give_up(error);
  news_.notify();
}

void Run::Impl::refused_for_now(const Error& error) {
  if (!ever_connected_ || !accepted_) return give_up(error);
  last_error_ = error;
  schedule_retry();
}

void Run::Impl::on_broken(Attachment& job, const Error& error) {
  last_error_ = error;
  if (job.away_since == BootTime{}) job.away_since = BootClock::now();
  if (down_since_ == BootTime{}) down_since_ = BootClock::now();
  if (!remote_.alive()) return;
  if (error.code == Code::kUnknownJob && !job.was_started() && !plan_.spec.empty()) {
    resubmit_ = true;  // neither controller nor node has it: the same request cannot start it twice
  } else if (is_final(error.code)) {
    give_up(error);
    return;
  }
  schedule_retry();
}

void Run::Impl::schedule_retry() {
  if (!std::exchange(told_down_, true)) observer_.link(false, last_error_.message);
  retry_.arm(backoff_.next(), [this] {
    if (!remote_.alive()) return;
    if (resubmit_)
      submit_.begin();
    else
      attach_missing();
    news_.notify();
  });
}

void Run::Impl::attach_missing() {
  for (auto& job : jobs_)
    if (!job->finished() && !job->bound()) job->reattach(remote_);
}

void Run::Impl::pump_all() {
  if (remote_.alive() && !accepted_) submit_.pump();
  std::uint64_t acknowledged = ~std::uint64_t{0};
  for (auto& job : jobs_) {
    job->pump_stdin();
    acknowledged = std::min(acknowledged, job->stdin_acknowledged());
  }
  if (source_ && !jobs_.empty()) source_->release(acknowledged);
}

bool Run::Impl::done() const {
  if (failure_ || gone_ || left_) return true;
  if (!accepted_) return false;
  if (plan_.mode == "detached") return true;
  return std::all_of(jobs_.begin(), jobs_.end(), [](const auto& job) { return job->finished(); });
}

bool Run::Impl::late() const {
  return down_since_ != BootTime{} && BootClock::now() >= down_since_ + plan_.reconnect;
}

// False when it is final that there is no session.
net::Task<bool> Run::Impl::connect() {
  while (!done()) {
    auto transport = co_await connector_.dial();
    if (transport) {
      remote_.start(std::move(*transport), connector_.hello());
      co_return true;
    }
    last_error_ = transport.error();
    if (!ever_connected_ || is_final(last_error_.code)) {
      give_up(last_error_);
      co_return false;
    }
    if (late()) co_return false;
    if (!std::exchange(told_down_, true)) observer_.link(false, last_error_.message);
    co_await net::sleep_for_real(backoff_.next());
  }
  co_return false;
}

net::Task<> Run::Impl::hold_session() {
  if (!accepted_)
    submit_.begin();
  else
    attach_missing();
  auto hello = co_await remote_.greeted();
  if (!hello) {
    if (is_final(hello.error().code) || !ever_connected_) give_up(hello.error());
    co_return;
  }
  ever_connected_ = true;
  backoff_.reset();
  while (remote_.alive() && !done() && !late()) {
    const bool news = co_await news_.wait_for(Millis{1'000});
    // Whatever was missed, a job without a stream gets one.
    if (!news && remote_.alive() && accepted_ && !told_down_ && !resubmit_) attach_missing();
  }
}

net::Task<RunResult> Run::Impl::run() {
  if (source_ && accepted_) source_->start();
  while (!done()) {
    const bool connected = co_await connect();
    if (!connected) break;
    co_await hold_session();
    if (done() || late()) break;
    if (down_since_ == BootTime{}) down_since_ = BootClock::now();
    if (!remote_.alive() && !done()) co_await net::sleep_for_real(Millis{20});
  }
  if (remote_.alive()) remote_.close({Code::kLinkLost, "done", {}});
  co_return result();
}

RunResult Run::Impl::result() {
  RunResult out;
  const bool complete = accepted_ && (plan_.mode == "detached" ||
                                      std::all_of(jobs_.begin(), jobs_.end(),
                                                  [](const auto& job) { return job->finished(); }));
  if (complete) return out;
  if (left_ || gone_) {
    out.lost = true;
  } else if (accepted_) {
    out.lost = true;
    const std::string why = failure_ ? failure_->message : last_error_.message;
    out.error = Error{Code::kLinkLost, "the link was away for longer than --reconnect: " + why,
                      "the job may still run: rexec job show " + jobs_.front()->info().job};
    if (failure_) out.error = failure_;
  } else {
    out.error = failure_ ? *failure_ : last_error_;
    // The submit may have reached the controller: only a definite refusal says that nothing runs.
    out.lost = !failure_ && ever_connected_;
  }
  return out;
}

void Run::Impl::broadcast(const wire::Map& map) {
  if (!accepted_) return early_.push_back(map);
  for (auto& job : jobs_) job->send_signal(map);
}

void Run::Impl::leave() {
  broadcast({{"t", "leave"}});
  left_ = true;
  news_.notify();
}

Run::Run(asio::io_context& context, Connector& connector, RunPlan plan, Observer& observer)
    : impl_(std::make_unique<Impl>(context, connector, std::move(plan), observer)) {}
Run::~Run() = default;
net::Task<RunResult> Run::run() { return impl_->run(); }
void Run::signal(int number) { impl_->broadcast({{"t", "signal"}, {"n", number}}); }
void Run::stop(Millis grace) { impl_->broadcast({{"t", "stop"}, {"grace_ms", grace.count()}}); }
void Run::resize(int rows, int cols) {
  impl_->broadcast({{"t", "resize"}, {"rows", rows}, {"cols", cols}});
}
void Run::close_output(wire::Channel channel) {
  impl_->broadcast({{"t", "close"}, {"channel", static_cast<int>(channel)}});
}
void Run::leave() { impl_->leave(); }
void Run::abandon() { impl_->abandon(); }
void Run::drained() { impl_->drained(); }

}  // namespace rexec::client
