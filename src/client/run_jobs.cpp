// See run.hpp: the jobs of a run. Submitting, taking their streams, attaching again what broke.
#include <algorithm>

#include "src/base/fail_point.hpp"
#include "src/client/run_impl.hpp"

namespace rexec::client {
namespace {

// After a restart of the controller nodes come back one by one.
constexpr Millis kNodeMayBeBack{10'000};

// The windows of all jobs.
std::uint64_t together(const RunPlan& plan) {
  return plan.pace == Pace::kReader ? wire::kWatchedWindow : ~std::uint64_t{0};
}

wire::Map to_map(const Waits& waits) {
  wire::Map map = wire::Map::object();
  if (waits.queue > Millis{0}) map["queue_ms"] = static_cast<std::uint64_t>(waits.queue.count());
  if (waits.online > Millis{0}) map["online_ms"] = static_cast<std::uint64_t>(waits.online.count());
  for (const LockWish& lock : waits.locks)
    map["locks"].push_back({{"name", lock.name}, {"slots", lock.slots}, {"fleet", lock.fleet}});
  for (const AfterWish& one : waits.after)
    map["after"].push_back({{"job", one.job}, {"when", one.when}});
  return map;
}

wire::Map to_map(const std::vector<DagJob>& dag) {
  wire::Map list = wire::Map::array();
  for (const DagJob& job : dag)
    list.push_back({{"name", job.name},
                    {"targets", job.targets},
                    {"spec_size", job.spec.size()},
                    {"terms", to_map(job.waits)}});
  return list;
}

}  // namespace

void Run::Impl::Submit::begin() {
  sent_ = 0;
  owner_.answer_ = wire::Map::array();
  ended_ = false;
  ++begun_;
  const RunPlan& plan = owner_.plan_;
  wire::Map args{{"request", plan.request},
                 {"targets", plan.targets},
                 {"mode", plan.mode},
                 {"spec_size", plan.spec.size()},
                 {"stdin", plan.stdin_fd >= 0},
                 {"keyed", plan.key == RequestKey::kChosen},
                 {"pace", plan.pace == Pace::kReader},
                 {"times", plan.times == Times::kYes},
                 {"window", together(plan)},
                 {"resume", owner_.resubmit_}};
  if (wire::Map terms = to_map(plan.waits); !terms.empty()) args["terms"] = std::move(terms);
  if (!plan.dag.empty()) args["dag"] = to_map(plan.dag);
  stream = owner_.remote_.open("submit", std::move(args), *this);
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
  fail_point(FailPoint::kClientSubmitSent);
}

void Run::Impl::add_job(const JobInfo& info) {
  const std::size_t index = jobs_.size();
  Attachment::Hooks hooks;
  hooks.on_attached = [this](Attachment& job) { job_is_back(job); };
  hooks.on_finished = [this](Attachment& job) { on_finished(job); };
  hooks.on_stdin_taken = [this] { release_stdin(); };
  hooks.on_broken = [this](Attachment& job, const Error& error) { on_broken(job, error); };
  hooks.on_away = [this](Attachment& job, const Error& error) { on_away(job, error); };
  jobs_.push_back(
      std::make_unique<Attachment>(index, info, plan_, observer_, source_.get(), std::move(hooks)));
  by_id_[info.job] = jobs_.back().get();
}

void Run::Impl::share_window() {
  const std::uint64_t share = wire::share_of_window(together(plan_), jobs_.size());
  for (auto& job : jobs_) job->set_window(share);
}

void Run::Impl::on_accepted(const wire::Map& map) {
  if (wire::text_or(map, "t") != "accepted") return;
  fail_point(FailPoint::kClientAcceptedRead);
  for (const wire::Map& entry : wire::child_or_empty(map, "jobs")) answer_.push_back(entry);
  if (wire::bool_or(map, "more", false)) return;
  const wire::Map list = std::exchange(answer_, wire::Map::array());
  std::vector<JobInfo> infos;
  bool is_any_waiting = false;
  for (const wire::Map& entry : list) {
    JobInfo info{wire::text_or(entry, "job"),
                 wire::text_or(entry, "node"),
                 wire::text_or(entry, "ticket"),
                 static_cast<std::uint32_t>(wire::u64_or(entry, "attempt", 1)),
                 0,
                 0,
                 wire::text_or(entry, "name"),
                 wire::text_or(entry, "waiting"),
                 wire::text_or(wire::child_or_empty(entry, "record"), "reason")};
    is_any_waiting = is_any_waiting || !info.waiting.empty();
    infos.push_back(info);
    const auto known = by_id_.find(info.job);
    if (known != by_id_.end())
      known->second->set_ticket(info.ticket);
    else
      add_job(info);
  }
  share_window();
  const bool first = !std::exchange(accepted_, true);
  const bool again = std::exchange(resubmit_, false);
  if (first) link_is_back();
  if (first && !again) observer_.accepted(wire::text_or(map, "run"), infos);
  fail_point(FailPoint::kClientAcceptedTold);
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
  // The controller opens a stream for what starts at once; one that waits is asked for.
  if (again || is_any_waiting) attach_missing();
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
  submit_.forget();
  if (is_final(error.code)) give_up(error);
  news_.notify();
}

void Run::Impl::refused_for_now(const Error& error) {
  // Of a submit that is repeated an earlier one may have started the job: its node may come back.
  if (!accepted_ && !submit_.was_repeated()) return give_up(error);
  last_error_ = error;
  link_is_down();
  schedule_retry();
}

// Of --reconnect, unless it runs.
void Run::Impl::begin_count(const Error& error) {
  last_error_ = error;
  absences_.link_broke(BootClock::now());
}

// The same for one of several jobs: the others have no part in it.
void Run::Impl::node_left(Attachment& job, const Error& error) {
  const BootTime now = BootClock::now();
  const auto seed = static_cast<std::uint64_t>(now.time_since_epoch().count()) + job.index();
  away_.try_emplace(job.index(), executor_, seed).first->second.why = error;
  if (absences_.node_left(job.index(), now)) observer_.node_link(job.index(), false, error.message);
  news_.notify();  // to look again in time
}

void Run::Impl::job_is_back(Attachment& job) {
  link_is_back();
  away_.erase(job.index());
  if (absences_.node_came(job.index())) observer_.node_link(job.index(), true, {});
}

void Run::Impl::on_finished(Attachment& job) {
  away_.erase(job.index());
  absences_.node_came(job.index());
  // An end is an answer too, and the only one when it comes without the output before it.
  if (!is_alone() && remote_.alive()) link_is_back();
  news_.notify();
}

void Run::Impl::lose_overdue() {
  for (const std::size_t index : absences_.overdue(BootClock::now())) {
    Attachment& job = *jobs_[index];
    const Error error = away_too_long(job.info(), away_.at(index).why.message);
    job.abandon();
    observer_.lost(index, error);
    release_stdin();
  }
}

void Run::Impl::on_broken(Attachment& job, const Error& error) {
  const bool never_came =
      error.code == Code::kUnknownJob && !job.was_started() && !plan_.spec.empty();
  // What one node says ends its own job, never those of the others.
  if (remote_.alive() && jobs_.size() > 1 && is_final(error.code) && !never_came)
    return job.fail(error);
  if (!remote_.alive()) return begin_count(error);
  is_alone() ? begin_count(error) : node_left(job, error);
  if (never_came) {
    resubmit_ = true;  // neither controller nor node has it: the same request cannot start it twice
  } else if (is_final(error.code)) {
    give_up(error);
    return;
  } else if (!is_alone()) {
    return attach_again(job);
  }
  if (is_alone()) link_is_down();
  schedule_retry();
}

void Run::Impl::on_away(Attachment& job, const Error& error) {
  if (!is_alone()) return node_left(job, error);
  begin_count(error);
  link_is_down();
  // Who reads what is there does not wait long for it to be there.
  if (plan_.follow == Follow::kWhatIsThere)
    retry_.arm(kNodeMayBeBack, [this, error, node = job.info().node] {
      if (last_error_.code == error.code && absences_.is_link_away())
        give_up({error.code, error.message + ", and what the job wrote is on it",
                 "see: rexec node show " + node});
    });
}

// A node whose streams break keeps no other's waiting.
void Run::Impl::attach_again(Attachment& job) {
  NodeAway& node = away_.at(job.index());
  node.retry.arm(node.backoff.next(), [this, &job] {
    if (remote_.alive() && !job.finished() && !job.bound()) job.reattach(remote_);
  });
}

void Run::Impl::schedule_retry() {
  retry_.arm(backoff_.next(), [this] {
    if (!remote_.alive()) return;
    if (accepted_ && !resubmit_)
      attach_missing();
    else if (accepted_ || !submit_.under_way())
      submit_.begin();
    news_.notify();
  });
}

void Run::Impl::attach_missing() {
  for (auto& job : jobs_)
    if (!job->finished() && !job->bound()) job->reattach(remote_);
}

// But those that have a time for it.
void Run::Impl::attach_forgotten() {
  for (auto& job : jobs_)
    if (!job->finished() && !job->bound() && !away_.contains(job->index())) job->reattach(remote_);
}

void Run::Impl::take_input() {
  pump_all();
  const int error = source_->failure();
  if (error != 0 && !std::exchange(input_failed_, true)) observer_.input_failed(error);
}

void Run::Impl::pump_all() {
  if (remote_.alive() && !accepted_) submit_.pump();
  for (auto& job : jobs_) job->pump_stdin();
  release_stdin();
}

// What every job has taken is not kept any more, which makes room to read on.
void Run::Impl::release_stdin() {
  if (!source_ || jobs_.empty()) return;
  std::uint64_t acknowledged = ~std::uint64_t{0};
  for (const auto& job : jobs_)
    if (!job->finished()) acknowledged = std::min(acknowledged, job->stdin_acknowledged());
  source_->release(acknowledged);
  if (!is_alone()) watch_stdin();
}

void Run::Impl::watch_stdin() {
  std::vector<StdinWait::Taken> taken;
  for (const auto& job : jobs_)
    if (!job->finished()) taken.push_back({job->index(), job->stdin_acknowledged()});
  const BootTime now = BootClock::now();
  stdin_wait_.look(taken, source_->is_full(), now);
  const std::vector<std::size_t> slowest = stdin_wait_.slowest(taken, now);
  if (!slowest.empty()) observer_.input_waits(slowest);
  const std::optional<Millis> left = stdin_wait_.left(now);
  left ? stdin_look_.arm(*left, [this] { watch_stdin(); }) : stdin_look_.cancel();
}

}  // namespace rexec::client
