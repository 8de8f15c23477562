#include "src/controller/agent_session.hpp"

#include <algorithm>

#include "src/base/fail_point.hpp"
#include "src/base/log.hpp"
#include "src/base/text.hpp"
#include "src/base/version.hpp"
#include "src/controller/renewal.hpp"
#include "src/job/record.hpp"

namespace rexec::controller {

namespace event = wire::event;

namespace {

// A node keeps what it ran for a week; its clock and ours may differ.
constexpr Millis kNodeRemembers = std::chrono::hours(6 * 24);

constexpr std::size_t kMostReason = 200;

constexpr std::size_t kSettledInTurn = 500;

std::string held_words(const std::string& why, const JobId& job) {
  if (why.empty()) return {};
  if (why == "unread")
    return "its quota is full and nobody reads its output; go on: rexec attach " + job.text;
  return "its output cannot be kept on the node: " + printable(why.substr(0, kMostReason));
}

}  // namespace

AgentSession::AgentSession(Hub& hub, std::shared_ptr<net::SessionDriver> driver,
                           pki::Identity identity, std::string source)
    : hub_(hub),
      driver_(std::move(driver)),
      identity_(std::move(identity)),
      source_(std::move(source)),
      node_{identity_.id},
      router_(driver_) {}

void AgentSession::accept(Hub& hub, net::Arrival arrival) {
  wire::SessionOptions options;
  options.side = wire::Side::kAcceptor;
  options.max_streams = 0;  // a node opens none
  options.now = BootClock::now();
  pki::Identity identity = *arrival.transport->peer();
  const auto driver = std::make_shared<net::SessionDriver>(hub.context().get_executor(),
                                                           std::move(arrival.transport), options);
  std::shared_ptr<AgentSession> session(
      new AgentSession(hub, driver, std::move(identity), std::move(arrival.source)));
  session->self_ = session;
  driver->start(*session);
  if (const auto joined = hub.join(*session); !joined) {
    net::hold_place(driver, std::move(arrival.place));
    session->end(joined.error());
  }
}

void AgentSession::end(const Error& reason) {
  if (!open_) return;
  driver_->session().close(reason);
  driver_->flush_soon();
}

void AgentSession::closed(const Error& error) {
  if (!std::exchange(open_, false)) return;
  hub_.leave(*this);
  if (Node* node = hub_.registry().find(node_)) hub_.node_gone(*node, *this);
  router_.drop_all({Code::kLinkLost, "the link to the node was lost: " + error.message, {}});
  for (auto& [id, answered] : std::exchange(answers_, {})) answered(std::unexpected(error));
  asio::post(hub_.context(), [self = std::move(self_)] {});
}

void AgentSession::on_event(wire::Event event) {
  if (router_.forward(event)) return;
  if (auto* request = std::get_if<event::Request>(&event)) {
    answer(request->id, request->verb, request->args);
  } else if (auto* response = std::get_if<event::Response>(&event)) {
    auto node = answers_.extract(response->id);
    if (!node.empty()) node.mapped()(response->result);
  } else if (auto* credit = std::get_if<event::Credit>(&event)) {
    pump(credit->stream);
  } else if (auto* reset = std::get_if<event::Reset>(&event)) {
    if (const AttemptKey key = forget_upload(reset->stream); !key.job.empty())
      refused(key, reset->error);
    hub_.dispatcher().room_on(node_);
  } else if (auto* end = std::get_if<event::Ended>(&event)) {
    forget_upload(end->stream);
    hub_.dispatcher().room_on(node_);
  } else if (auto* map = std::get_if<event::Hello>(&event)) {
    hello(map->map);
  } else if (auto* over = std::get_if<event::Closed>(&event)) {
    closed(over->error);
  }
}

void AgentSession::hello(const wire::Map& map) {
  const auto allowed = hub_.check(identity_);
  if (!allowed) return driver_->session().close(allowed.error());
  Node* node = hub_.registry().find(node_);
  if (node == nullptr)
    return driver_->session().close(
        {Code::kRevoked, "this node is not known here", "join it again: rexec join rx1_…"});
  if (wire::text_or(map, "role") != "node")
    return driver_->session().close(
        {Code::kDenied, "a node's certificate speaks for a node only", {}});
  instance_ = wire::text_or(map, "instance").substr(0, 128);
  if (hub_.refuse_duplicate(*node, *this)) return;
  node->software = wire::text_or(map, "software").substr(0, 64);
  node->address = source_;
  driver_->session().send_hello({{"role", "controller"},
                                 {"cluster", hub_.authority().cluster()},
                                 {"name", node->name},
                                 {"epoch", hub_.epoch()},
                                 {"software", std::string(build_version().version)},
                                 {"wall_ms", wall_now().time_since_epoch().count()}});
  fail_point(FailPoint::kControllerHelloSent);
}

void AgentSession::request(std::string_view verb, wire::Map args,
                           std::function<void(const Result<wire::Map>&)> answered) {
  if (!serves()) return answered(fail(Code::kLinkLost, "the node is not connected"));
  answers_[driver_->session().request(verb, std::move(args))] = std::move(answered);
  driver_->flush_soon();
}

void AgentSession::answer(wire::RequestId id, const std::string& verb, const wire::Map& args) {
  if (verb == "reconcile") return reconcile(id, args);
  if (verb == "renew")
    return renew(hub_, identity_, args,
                 [self = shared_from_this(), id](const Result<wire::Map>& result) {
                   self->driver_->session().respond(id, result);
                   self->driver_->flush_soon();
                 });
  if (verb == "schedule.report") {
    hub_.schedules().reported(node_, args);
    return driver_->session().respond(id, wire::Map::object());
  }
  if (verb != "job.report")
    return driver_->session().respond(id, fail(Code::kProtocol, "unknown verb"));
  fail_point(FailPoint::kControllerReportReceived);
  const auto answered = [self = shared_from_this(), id](const Result<void>& saved) {
    fail_point(FailPoint::kControllerEndCommitted);
    if (saved)
      self->driver_->session().respond(id,
                                       wire::Map{{"commits", self->hub_.store().run_commits()}});
    else
      self->driver_->session().respond(id, std::unexpected(saved.error()));
    fail_point(FailPoint::kControllerReportAnswered);
    self->driver_->flush_soon();
  };
  hub_.recall({{wire::text_or(args, "job")}}, [this, answered, args](const Result<void>& recalled) {
    if (!serves()) return;
    if (!recalled) return answered(recalled);
    if (dismiss(args)) return answered({});
    if (!apply(args, answered))
      answered(fail(Code::kUnknownJob, "no such job here, and its ticket is not ours"));
  });
}

Job* AgentSession::reported(const wire::Map& entry) {
  const std::string id = wire::text_or(entry, "job");
  const AttemptKey key{{id}, static_cast<std::uint32_t>(wire::u64_or(entry, "attempt", 1))};
  Job* job = hub_.jobs().find(key.job);
  if (job == nullptr) job = hub_.adopt(key, wire::text_or(entry, "ticket"), node_);
  if (job == nullptr || job->node != node_) {
    log_warn("a node reports a job that is not its own", {{"node", node_.text}, {"job", id}});
    return nullptr;
  }
  return job;
}

// Of a job that somebody removed the node is to forget what it has; one that runs has nobody left
// who could see or stop it.
bool AgentSession::dismiss(const wire::Map& entry) {
  const JobId job{wire::text_or(entry, "job")};
  if (hub_.jobs().find(job) != nullptr || !hub_.was_removed(job)) return false;
  const bool has_ended = wire::text_or(entry, "state") == "final";
  wire::Map args{{"job", job.text}, {"attempt", wire::u64_or(entry, "attempt", 1)}};
  request(has_ended ? "job.remove" : "job.stop", std::move(args), [](const Result<wire::Map>&) {});
  return true;
}

bool AgentSession::apply(const wire::Map& entry, std::move_only_function<void(Result<void>)> done) {
  Job* job = reported(entry);
  if (job == nullptr) return false;
  job->is_told = true;
  const auto started = static_cast<std::int64_t>(wire::u64_or(entry, "started_ms", 0));
  const std::string state = wire::text_or(entry, "state");
  const auto attempt = static_cast<std::uint32_t>(wire::u64_or(entry, "attempt", 1));
  hub_.attempt_began(*job, attempt, WallTime{Millis{started}});
  if (started != 0 && attempt == job->key.attempt) {
    hub_.running(*job, WallTime{Millis{started}});
    if (job->started == WallTime{}) job->started = WallTime{Millis{started}};
  }
  if (attempt == job->key.attempt)
    job->held = held_words(wire::text_or(entry, "held"), job->key.job);
  if (state != "final" && state != "restarting") {
    if (done) done({});
    return true;
  }
  const wire::Map& record = wire::child_or_empty(entry, "record");
  if (!record.is_object() || !record.contains("outcome")) return false;
  if (state == "final" && attempt == job->key.attempt) {
    hub_.finished(*job, record, std::move(done));
  } else {
    const auto next = static_cast<std::int64_t>(wire::u64_or(entry, "next_attempt_ms", 0));
    hub_.attempt_ended(*job, {job->key.job, attempt}, record, WallTime{Millis{next}},
                       std::move(done));
  }
  return true;
}

void AgentSession::reconcile(wire::RequestId id, const wire::Map& args) {
  fail_point(FailPoint::kControllerReconcileReceived);
  if (args.contains("seen") && !behind_) return compare(id, args);
  take_page(id, args);
}

void AgentSession::take_page(wire::RequestId id, const wire::Map& args) {
  if (const Node* node = hub_.registry().find(node_); node && hub_.refuse_duplicate(*node, *this))
    return;
  const wire::Map& jobs = wire::child_or_empty(args, "jobs");
  std::vector<JobId> ids;
  for (const wire::Map& entry : jobs)
    if (entry.is_object()) ids.push_back({wire::text_or(entry, "job")});
  named_.insert(ids.begin(), ids.end());
  const Page page = wire::bool_or(args, "last", true) ? Page::kLast : Page::kMore;
  hub_.recall(std::move(ids),
              [self = shared_from_this(), id, jobs, page](const Result<void>& recalled) {
                if (!self->serves()) return;
                if (!recalled)
                  return self->driver_->session().respond(id, std::unexpected(recalled.error()));
                self->reconcile_known(id, jobs, page);
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
    self->hub_.note_old_history(self->node_, args, *why);
    self->driver_->session().respond(id, wire::Map{{"again", true}});
    self->driver_->flush_soon();
  });
}

// The page is acknowledged when the last of its records is committed: the store keeps the order of
// what it is given.
void AgentSession::reconcile_known(wire::RequestId id, const wire::Map& jobs, Page page) {
  for (const wire::Map& entry : jobs)
    if (entry.is_object() && !dismiss(entry)) apply(entry, {});
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

void AgentSession::start(Job& job) {
  if (!serves() || job.spec == nullptr) return;
  const wire::StreamId stream = driver_->session().open("start", {{"job", job.key.job.text},
                                                                  {"attempt", job.key.attempt},
                                                                  {"ticket", job.ticket},
                                                                  {"owner", job.owner_name},
                                                                  {"spec_size", job.spec->size()},
                                                                  {"attach", !job.is_detached}});
  uploads_[stream] = {job.spec, 0, job.key};
  upload_bytes_ += job.spec->size();
  fail_point(FailPoint::kControllerStartSent);
  pump(stream);
}

void AgentSession::withdraw(const AttemptKey& key) {
  for (auto at = uploads_.begin(); at != uploads_.end(); ++at) {
    if (at->second.key != key) continue;
    driver_->session().reset(at->first, {Code::kConflict, "stopped before it began", {}});
    forget_upload(at->first);
    driver_->flush_soon();
    return hub_.dispatcher().room_on(node_);
  }
}

// Whose start that stream was; nobody's when it was another.
AttemptKey AgentSession::forget_upload(wire::StreamId stream) {
  const auto node = uploads_.extract(stream);
  if (node.empty()) return {};
  upload_bytes_ -= node.mapped().spec->size();
  return node.mapped().key;
}

void AgentSession::pump(wire::StreamId stream) {
  const auto at = uploads_.find(stream);
  if (at == uploads_.end()) return;
  Upload& upload = at->second;
  wire::Session& session = driver_->session();
  const std::string_view spec = *upload.spec;
  while (upload.sent < spec.size()) {
    const std::size_t n = std::min<std::size_t>(
        {session.sendable(stream), wire::kMaxData, spec.size() - upload.sent});
    if (n == 0) break;
    session.send_data(
        stream, wire::Channel::kSpec,
        wire::make_frame(wire::FrameType::kData, stream, as_bytes(spec.substr(upload.sent, n))));
    upload.sent += n;
  }
  if (upload.sent == spec.size()) {
    session.end(stream);
    fail_point(FailPoint::kControllerSpecSent);
  }
  driver_->flush_soon();
}

void AgentSession::refused(const AttemptKey& key, const Error& error) {
  Job* job = hub_.jobs().find(key.job);
  if (job == nullptr || job->is_final()) return;
  const job::RefusedEnd end = job::end_of_refusal(error.code);
  wire::Map record =
      record_without_run(*job, job::outcome_name(end.outcome), end.code, code_name(error.code));
  record["message"] = error.message;
  hub_.finished(*job, std::move(record), {});
}

void AgentSession::attach(const Job& job, wire::Map args, Reader reader) {
  args["job"] = job.key.job.text;
  // Where a reader left off, or wants to begin; it is led on from there.
  const std::uint64_t from = wire::u64_or(args, "attempt", job.key.attempt);
  args["attempt"] = std::clamp<std::uint64_t>(from, 1, job.key.attempt);
  args["last"] = job.key.attempt;
  const wire::StreamId stream = driver_->session().open("attach", std::move(args));
  Router::link(router_, stream, reader.router, reader.stream,
               {std::move(reader.refused), std::move(reader.kept)});
  fail_point(FailPoint::kControllerAttachSent);
  driver_->flush_soon();
}

}  // namespace rexec::controller
