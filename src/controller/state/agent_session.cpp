#include "src/controller/state/agent_session.hpp"

#include <algorithm>

#include "src/base/fail_point.hpp"
#include "src/base/log.hpp"
#include "src/base/version.hpp"
#include "src/controller/state/renewal.hpp"
#include "src/job/spec/record.hpp"

namespace rexec::controller {

namespace event = wire::event;

namespace {

// Streams that ended and are still noted: then it is time to look.
constexpr std::size_t kMostForgotten = 64;

// Requests to the node that it has not answered: more than the jobs that one machine can run. A
// node that answers none of them does not get to keep them all in our memory.
constexpr std::size_t kMostAsked = 131'072;

constexpr const char* kSaysNonsense = "sent what cannot be read";

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
  if (!bound(event) || router_.forward(event)) return;
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

// What goes on to somebody's reader is a node's to say. False: it does not go on.
bool AgentSession::bound(wire::Event& event) {
  if (auto* reset = std::get_if<event::Reset>(&event)) {
    reset->error = error_of_node(std::move(reset->error));
  } else if (auto* response = std::get_if<event::Response>(&event); response && !response->result) {
    response->result = std::unexpected(error_of_node(std::move(response->result.error())));
  } else if (auto* message = std::get_if<event::Event>(&event)) {
    return bound_message(*message);
  }
  return true;
}

bool AgentSession::bound_message(event::Event& message) {
  const auto reader = read_.find(message.stream);
  if (reader == read_.end()) return false;  // of a start: it says that it began
  auto map = read_node_event(message.frame.payload(), reader->second);
  if (!map) {
    warn(NodeNews::kUnreadable, "a node sends a reader what cannot be read",
         {{"job", reader->second.key.job.text}, {"why", map.error().message}});
    const Error error{Code::kProtocol, "node \"" + reader->second.node + "\" " + kSaysNonsense, {}};
    driver_->session().reset(message.stream, error);
    wire::Event broken = event::Reset{message.stream, error};
    router_.forward(broken);
    return false;
  }
  if (!*map) return false;
  message.frame =
      wire::make_frame(wire::FrameType::kEvent, message.stream, as_bytes(wire::pack(**map)));
  return true;
}

void AgentSession::warn(NodeNews kind, std::string_view message,
                        std::initializer_list<LogField> fields) {
  hub_.node_log().say(LogLevel::kWarn, kind, node_, message, fields);
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
  NodeHello said = read_hello(map);
  instance_ = std::move(said.instance);
  if (hub_.refuse_duplicate(*node, *this)) return;
  node->software = std::move(said.software);
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
  if (answers_.size() == kMostAsked) {
    const Error error{Code::kLimit, "the node answers no request", "is it a rexec agent?"};
    end(error);
    return answered(std::unexpected(error));
  }
  answers_[driver_->session().request(verb, std::move(args))] = std::move(answered);
  driver_->flush_soon();
}

void AgentSession::answer(wire::RequestId id, const std::string& verb, const wire::Map& args) {
  if (verb == "reconcile") return reconcile(id, args);
  if (verb == "renew") {
    const auto answered = [self = shared_from_this(), id](const Result<wire::Map>& result) {
      self->driver_->session().respond(id, result);
      self->driver_->flush_soon();
    };
    return hub_.turns().ask(identity_.id, [this, args, answered] {
      if (serves()) renew(hub_, identity_, args, answered);
    });
  }
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
  const auto report = read_report(args);
  if (!report) {
    warn(NodeNews::kUnreadable, "a node's report cannot be read",
         {{"node", node_.text}, {"why", report.error().message}});
    return driver_->session().respond(id, std::unexpected(report.error()));
  }
  hub_.recall({report->key.job}, [this, answered, report = *report](const Result<void>& recalled) {
    if (!serves()) return;
    if (!recalled) return answered(recalled);
    if (dismiss(report)) return answered({});
    if (!apply(report, answered))
      answered(fail(Code::kUnknownJob, "no such job here, and its ticket is not ours"));
  });
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
  const std::string_view spec = upload.spec->text();
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
  if (read_.size() > 2 * router_.size() + kMostForgotten)
    std::erase_if(read_, [this](const auto& entry) { return !router_.has(entry.first); });
  read_[stream] = {job.node_name, job.key};
  Router::link(router_, stream, reader.router, reader.stream,
               {std::move(reader.refused), std::move(reader.kept)});
  fail_point(FailPoint::kControllerAttachSent);
  driver_->flush_soon();
}

}  // namespace rexec::controller
