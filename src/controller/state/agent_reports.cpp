// What a node tells of its jobs, at once after its HELLO and whenever something changes: each
// report is read by node_words.*, and what is in a page is acknowledged when it is committed. Part
// of agent_session.
#include "src/base/fail_point.hpp"
#include "src/controller/state/agent_session.hpp"

namespace rexec::controller {
namespace {

// A node keeps what it ran for a week; its clock and ours may differ.
constexpr Millis kNodeRemembers = std::chrono::hours(6 * 24);

constexpr std::size_t kSettledInTurn = 500;

// Of removed jobs that the node is told to forget and has not answered for. The others it is told
// when it names them next, after it connected anew.
constexpr std::size_t kMostDismissed = 16'384;

}  // namespace

Job* AgentSession::reported(const JobReport& report) {
  Job* job = hub_.jobs().find(report.key.job);
  if (job == nullptr) job = hub_.adopt(report.key, report.ticket, node_);
  if (job == nullptr || job->node != node_) {
    warn(NodeNews::kForeignJob, "a node reports a job that is not its own",
         {{"node", node_.text}, {"job", report.key.job.text}});
    return nullptr;
  }
  return job;
}

// Of a job that somebody removed the node is to forget what it has; one that runs has nobody left
// who could see or stop it.
bool AgentSession::dismiss(const JobReport& report) {
  const JobId& job = report.key.job;
  if (hub_.jobs().find(job) != nullptr || !hub_.was_removed(job)) return false;
  // It is not told again before it answers, however often it reports.
  if (dismissed_.size() == kMostDismissed || !dismissed_.insert(report.key).second) return true;
  const bool has_ended = report.state == JobReport::State::kFinal;
  wire::Map args{{"job", job.text}, {"attempt", report.key.attempt}};
  request(has_ended ? "job.remove" : "job.stop", std::move(args),
          [weak = weak_from_this(), key = report.key](const Result<wire::Map>&) {
            if (const auto self = weak.lock()) self->dismissed_.erase(key);
          });
  return true;
}

bool AgentSession::apply(const JobReport& report,
                         std::move_only_function<void(Result<void>)> done) {
  Job* job = reported(report);
  if (job == nullptr) return false;
  job->is_told = true;
  const std::uint32_t attempt = report.key.attempt;
  hub_.attempt_began(*job, attempt, report.started);
  if (report.started != WallTime{} && attempt == job->key.attempt) {
    hub_.running(*job, report.started);
    if (job->started == WallTime{}) job->started = report.started;
  }
  if (attempt == job->key.attempt) job->held = held_words(report.held, job->key.job);
  if (report.state == JobReport::State::kRunning) {
    if (done) done({});
    return true;
  }
  wire::Map record = record_of(report, job->node_name);
  if (report.state == JobReport::State::kFinal && attempt == job->key.attempt)
    hub_.finished(*job, std::move(record), std::move(done));
  else
    hub_.attempt_ended(*job, report.key, record, report.next, std::move(done));
  return true;
}

void AgentSession::reconcile(wire::RequestId id, const wire::Map& args) {
  fail_point(FailPoint::kControllerReconcileReceived);
  if (args.contains("seen") && !behind_) return compare(id, args);
  take_page(id, args);
}

// What is no report is passed over: the others of its page are not the worse for it.
void AgentSession::take_page(wire::RequestId id, const wire::Map& args) {
  if (const Node* node = hub_.registry().find(node_); node && hub_.refuse_duplicate(*node, *this))
    return;
  const wire::Map& jobs = wire::child_or_empty(args, "jobs");
  page_entries_ += jobs.size();
  if (jobs.size() > kMostInPage || page_entries_ > kMostNamed || settled_)
    return end({Code::kLimit, "a node that names jobs without end", "is it a rexec agent?"});
  Named named;
  for (const wire::Map& entry : jobs) {
    if (JobId job{wire::text_or(entry, "job")}; is_id(job.text, 'j')) named.jobs.push_back(job);
    auto report = read_report(entry);
    if (report)
      named.reports.push_back(std::move(*report));
    else
      warn(NodeNews::kUnreadable, "a node's report cannot be read",
           {{"node", node_.text}, {"why", report.error().message}});
  }
  const Page page = wire::bool_or(args, "last", true) ? Page::kLast : Page::kMore;
  settled_ = page == Page::kLast;
  std::vector<JobId> ids = named.jobs;
  hub_.recall(std::move(ids), [self = shared_from_this(), id, named = std::move(named),
                               page](const Result<void>& recalled) {
    if (!self->serves()) return;
    if (!recalled) return self->driver_->session().respond(id, std::unexpected(recalled.error()));
    self->reconcile_known(id, named, page);
  });
}

// A database from before what the node saw knows too little to say what is lost or to start again:
// the node tells all it has first.
void AgentSession::compare(wire::RequestId id, const wire::Map& args) {
  hub_.compare_history(args, [self = shared_from_this(), id, args](const Result<std::string>& why) {
    if (!self->serves()) return;
    if (!why) return self->driver_->session().respond(id, std::unexpected(why.error()));
    if (why->empty()) return self->take_page(id, args);
    self->behind_ = true;
    self->page_entries_ = 0;
    self->hub_.note_old_history(self->node_, args, *why);
    self->driver_->session().respond(id, wire::Map{{"again", true}});
    self->driver_->flush_soon();
  });
}

// The page is acknowledged when the last of its records is committed: the store keeps the order of
// what it is given.
void AgentSession::reconcile_known(wire::RequestId id, const Named& named, Page page) {
  for (const JobReport& report : named.reports)
    if (!dismiss(report)) apply(report, {});
  for (const JobId& one : named.jobs)
    if (const Job* job = hub_.jobs().find(one); job != nullptr && job->node == node_)
      if (!job->is_final()) named_.insert(one);
  hub_.ask<store::AuditHead>(
      [](store::Database& db) -> Result<store::AuditHead> { return db.audit_head(); },
      [self = shared_from_this(), id, page](const Result<store::AuditHead>& head) {
        if (!self->serves()) return;
        fail_point(FailPoint::kControllerReconcileCommitted);
        if (!head) return self->driver_->session().respond(id, std::unexpected(head.error()));
        self->driver_->session().respond(
            id, wire::Map{{"run", self->hub_.epoch()},
                          {"commits", self->hub_.store().run_commits()},
                          {"audit", {{"seq", head->seq}, {"hash", head->hash}}}});
        if (page == Page::kLast) self->settle({});
        self->driver_->flush_soon();
      });
}

// The node has told all: what we believe runs there and it did not name is not there. Some jobs a
// turn, because there may be very many. A copy of the node that came in beside it ends nothing.
void AgentSession::settle(std::optional<JobOrder> after) {
  Node* node = hub_.registry().find(node_);
  if (node == nullptr || !serves() || hub_.refuse_duplicate(*node, *this)) return;
  const auto jobs = hub_.jobs().unfinished_on(node_, after, kSettledInTurn);
  if (!jobs.empty()) after = JobOrder{jobs.back()->created, jobs.back()->key.job};
  const bool is_last = jobs.size() < kSettledInTurn;
  for (Job* job : jobs) {
    if (named_.contains(job->key.job)) continue;
    // From an old copy, and longer ago than a node keeps what it ran: it may have run and gone.
    const bool may_have_run = behind_ && job->created < wall_now() - kNodeRemembers;
    if (job->state != JobState::kRunning && !may_have_run) continue;
    hub_.finished(
        *job, record_without_run(*job, "lost", 121, may_have_run ? "restored" : "node_forgot"), {});
  }
  if (!is_last) return hub_.next_turn([self = shared_from_this(), after] { self->settle(after); });
  named_.clear();
  fail_point(FailPoint::kControllerReconciled);
  hub_.node_online(*node, *this);
}

}  // namespace rexec::controller
