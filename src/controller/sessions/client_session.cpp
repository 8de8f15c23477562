#include "src/controller/sessions/client_session.hpp"

#include <algorithm>

#include "src/base/fail_point.hpp"
#include "src/base/log.hpp"
#include "src/base/version.hpp"
#include "src/controller/state/agent_session.hpp"
#include "src/controller/verbs/schedule_verbs.hpp"
#include "src/job/spec/spec.hpp"

namespace rexec::controller {

namespace event = wire::event;

namespace {

constexpr std::size_t kMostParkedSignals = 16;
// A signal names itself or a terminal's size: more is not kept.
constexpr std::size_t kMostParkedSignal = 512;

}  // namespace

ClientSession::ClientSession(Hub& hub, std::shared_ptr<net::SessionDriver> driver,
                             pki::Identity identity, std::string source)
    : hub_(hub),
      policy_(hub),
      driver_(std::move(driver)),
      identity_(std::move(identity)),
      source_(std::move(source)),
      router_(driver_) {}

void ClientSession::accept(Hub& hub, net::Arrival arrival) {
  wire::SessionOptions options;
  options.side = wire::Side::kAcceptor;
  options.now = BootClock::now();
  pki::Identity identity = *arrival.transport->peer();
  const auto driver = std::make_shared<net::SessionDriver>(hub.context().get_executor(),
                                                           std::move(arrival.transport), options);
  std::shared_ptr<ClientSession> session(
      new ClientSession(hub, driver, std::move(identity), std::move(arrival.source)));
  session->self_ = session;
  driver->start(*session);
  if (const auto joined = hub.join(*session); !joined) {
    net::hold_place(driver, std::move(arrival.place));
    session->end(joined.error());
  }
}

void ClientSession::end(const Error& reason) {
  if (!open_) return;
  driver_->session().close(reason);
  driver_->flush_soon();
}

void ClientSession::closed(event::By by) {
  if (!std::exchange(open_, false)) return;
  hub_.leave(*this);
  answers_.clear();
  asked_.clear();
  while (!waiters_.empty()) stop_waiting(waiters_.begin()->first);
  for (const JobId& job : std::exchange(unattached_, {})) hub_.dispatcher().left(job);
  uploads_.clear();
  parked_.clear();
  waits_.clear();
  share_ = {};
  // An end by us says nothing about the client.
  const auto code = by == event::By::kUs ? Code::kControllerDown : Code::kLinkLost;
  router_.drop_all({code, "the reader is gone", {}});
  asio::post(hub_.context(), [self = std::move(self_)] {});
}

std::string ClientSession::actor() const { return "user/" + identity_.id + " " + name_; }

void ClientSession::on_event(wire::Event event) {
  if (router_.forward(event)) return;
  if (auto* data = std::get_if<event::Data>(&event)) {
    if (data->channel == wire::Channel::kSpec) spec_data(data->stream, data->frame.payload());
  } else if (auto* opening = std::get_if<event::Opened>(&event)) {
    opened(opening->stream, opening->kind, opening->args);
  } else if (auto* end = std::get_if<event::Ended>(&event)) {
    submit_complete(end->stream);
  } else if (auto* request = std::get_if<event::Request>(&event)) {
    answer(request->id, request->verb, request->args);
  } else if (auto* notice = std::get_if<event::Notice>(&event)) {
    noticed(notice->verb, notice->args);
  } else if (auto* reset = std::get_if<event::Reset>(&event)) {
    uploads_.erase(reset->stream);
    answers_.erase(reset->stream);
    parked_.erase(reset->stream);
    stop_waiting(reset->stream);
  } else if (auto* signal = std::get_if<event::Signal>(&event)) {
    if (waiters_.contains(signal->stream) &&
        signal_waiting(signal->stream, signal->frame.payload()))
      return;
    const auto parked = parked_.find(signal->stream);
    if (parked != parked_.end() && parked->second.signals.size() < kMostParkedSignals &&
        signal->frame.payload().size() <= kMostParkedSignal)
      parked->second.signals.push_back(std::move(event));
  } else if (auto* map = std::get_if<event::Hello>(&event)) {
    hello(map->map);
  } else if (const auto* over = std::get_if<event::Closed>(&event)) {
    closed(over->by);
  }
}

void ClientSession::hello(const wire::Map& map) {
  const auto allowed = hub_.check(identity_);
  if (!allowed) return driver_->session().close(allowed.error());
  if (wire::text_or(map, "role") != "user")
    return driver_->session().close(
        {Code::kDenied, "a person's certificate speaks for a person only", {}});
  auto share = hub_.budget().take({identity_.id}, Resource::kSessions, 1);
  if (!share) return driver_->session().close(share.error());
  share_ = std::move(*share);
  name_ = hub_.user(identity_.id)->name;
  driver_->session().send_hello({{"role", "controller"},
                                 {"cluster", hub_.authority().cluster()},
                                 {"name", name_},
                                 {"epoch", hub_.epoch()},
                                 {"software", std::string(build_version().version)},
                                 {"wall_ms", wall_now().time_since_epoch().count()}});
}

bool ClientSession::still_allowed() {
  if (!serves()) return false;
  const auto allowed = hub_.check(identity_);
  if (!allowed) driver_->session().close(allowed.error());
  return allowed.has_value();
}

void ClientSession::opened(wire::StreamId stream, const std::string& kind, const wire::Map& args) {
  if (!still_allowed()) return;
  hub_.turns().wants(identity_.id);
  if (kind == "submit") return open_submit(stream, args);
  if (kind == "attach") return open_attach(stream, args);
  driver_->session().reset(stream, {Code::kProtocol, "unknown kind of stream", {}});
}

// A job that has ended and whose output nobody has: its node was removed, or none ever ran it.
// There is nobody to wait for.
bool ClientSession::attach_lost(wire::StreamId stream, const Job& job) {
  if (!job.is_final() || hub_.output_holder(job) != nullptr) return false;
  end_without_output(stream, job);
  return true;
}

// Who reads it hears why nothing comes, unless nothing was written.
void ClientSession::end_without_output(wire::StreamId stream, const Job& job) {
  wire::Map end{{"t", "end"}, {"record", *job.record}, {"attempt", job.key.attempt}};
  if (std::string why = hub_.why_unreachable(job); !why.empty())
    end["unreachable"] = std::move(why);
  wire::Session& session = driver_->session();
  session.send_event(stream, end);
  session.end(stream);
  driver_->flush_soon();
}

ClientSession::Wanted ClientSession::read_wanted(const wire::Map& args) {
  Wanted wanted;
  wanted.out = wire::u64_or(args, "out", 0);
  wanted.err = wire::u64_or(args, "err", 0);
  wanted.window = wire::u64_or(args, "window", wire::kInitialWindow);
  if (args.contains("attempt")) wanted.attempt = wire::u64_or(args, "attempt", 1);
  wanted.has_stdin = wire::bool_or(args, "stdin", false);
  wanted.follows = wire::bool_or(args, "follow", true);
  wanted.holds = wire::bool_or(args, "hold", true);
  wanted.is_paced = wire::bool_or(args, "pace", false);
  wanted.has_times = wire::bool_or(args, "times", false);
  wanted.owns = wire::bool_or(args, "owns", false);
  return wanted;
}

void ClientSession::open_attach(wire::StreamId stream, const wire::Map& args) {
  auto share = hub_.budget().take({identity_.id}, Resource::kAttachments, 1);
  if (!share) return driver_->session().reset(stream, share.error());
  parked_[stream].attachment = std::move(*share);
  const std::string name = wire::text_or(args, "job");
  Claims claims;
  if (const auto ticket = hub_.tickets().open(wire::text_or(args, "ticket"));
      ticket && ticket->owner.text == identity_.id && ticket->attempt.job.text == name)
    claims.emplace(ticket->attempt.job, ticket->node);
  const auto found = [stream, claims, wanted = read_wanted(args)](
                         ClientSession& self, const Result<std::shared_ptr<Job>>& job) {
    self.attach_to(stream, wanted, claims, job);
  };
  hub_.find_job(identity_.id, name, while_open(stream, found));
}

void ClientSession::attach_to(wire::StreamId stream, const Wanted& wanted, const Claims& claims,
                              const Result<std::shared_ptr<Job>>& job) {
  if (job) {
    if (hub_.dispatcher().is_held((*job)->key.job)) return wait_with(stream, wanted, **job);
    if (!attach_lost(stream, **job)) {
      const Node* holder = (*job)->is_final() ? hub_.holder_of(**job) : nullptr;
      return attach_when_online(stream, wanted, (*job)->key.job,
                                holder != nullptr ? holder->id : (*job)->node);
    }
    parked_.erase(stream);
    return;
  }
  if (claims) return attach_when_online(stream, wanted, claims->first, claims->second);
  parked_.erase(stream);
  driver_->session().reset(stream, job.error());
}

void ClientSession::attach_when_online(wire::StreamId stream, const Wanted& wanted,
                                       const JobId& job, const NodeId& node) {
  const auto found = while_open(
      stream, [stream, wanted](ClientSession& self, const Result<std::shared_ptr<Job>>& known) {
        if (known && self.hub_.dispatcher().is_held((*known)->key.job))
          return self.wait_with(stream, wanted, **known);
        auto parked = self.parked_.extract(stream);
        if (!known)
          return self.driver_->session().reset(
              stream,
              {Code::kUnknownJob, "neither the controller nor the node knows this job", {}});
        if (parked.empty()) return;
        std::uint64_t window = wanted.window;
        Wanted granted = wanted;
        Router::Kept kept = self.keep_window(window, std::move(parked.mapped().attachment));
        granted.window = window;
        self.attach_now(stream, granted, *known, std::move(kept));
        for (auto& signal : parked.mapped().signals) self.router_.forward(signal);
      });
  Wish wish = hub_.when_online(node, [this, weak = weak_from_this(), job, found] {
    if (const auto self = weak.lock()) hub_.find_job(identity_.id, job.text, found);
  });
  if (const auto parked = parked_.find(stream); parked != parked_.end())
    parked->second.wish = std::move(wish);
  const auto told = [stream, node](ClientSession& self) {
    const Node* missing = self.hub_.registry().find(node);
    if (!self.parked_.contains(stream) || missing == nullptr) return;
    self.driver_->session().send_event(
        stream, {{"t", "away"}, {"why", "node \"" + missing->name + "\" is offline"}});
  };
  hub_.when_settled({node}, while_open(stream, told));
}

// A whole window while there is room for it; then the least one: slower, but never refused.
Router::Kept ClientSession::keep_window(std::uint64_t& window, Share attachment) {
  const UserId user{identity_.id};
  window = std::clamp(window, wire::kLeastWindow, wire::kInitialWindow);
  if (window > hub_.budget().left(user, Resource::kWindows)) window = wire::kLeastWindow;
  return std::make_shared<std::pair<Share, Share>>(
      std::move(attachment), hub_.budget().hold(user, Resource::kWindows, window));
}

void ClientSession::attach_now(wire::StreamId stream, const Wanted& wanted,
                               const std::shared_ptr<Job>& held, Router::Kept kept) {
  const Job& job = *held;
  unattached_.erase(job.key.job);
  if (attach_lost(stream, job)) return;
  Node* node = job.is_final() ? hub_.holder_of(job) : hub_.registry().find(job.node);
  if (node == nullptr || node->link == nullptr)
    return driver_->session().reset(
        stream, {Code::kNodeOffline, "node \"" + job.node_name + "\" is offline", {}});
  driver_->session().limit_window(stream, wanted.window);
  // How it ended is known here also when the node has nothing of it any more.
  const auto refused = [weak = weak_from_this(), stream, held](const Error& error) {
    const auto self = weak.lock();
    if (!self || !self->serves()) return false;
    if (error.code != Code::kUnknownJob || !held->is_final()) return false;
    self->end_without_output(stream, *held);
    return true;
  };
  node->link->attach(job,
                     {{"out", wanted.out},
                      {"err", wanted.err},
                      {"stdin", wanted.has_stdin},
                      {"follow", wanted.follows},
                      {"hold", wanted.holds},
                      {"pace", wanted.is_paced},
                      {"times", wanted.has_times},
                      {"owns", wanted.owns},
                      {"attempt", wanted.attempt.value_or(job.key.attempt)},
                      {"window", wanted.window}},
                     {router_, stream, std::move(kept), refused});
}

// Of a run's own output alone: what was submitted detached, or by a key, may be asked for again.
// A client says it with its last words, so that the session may be over by now.
void ClientSession::noticed(const std::string& verb, const wire::Map& args) {
  if (verb != "job.read" || !hub_.check(identity_)) return;
  Job* job = hub_.jobs().find(JobId{wire::text_or(args, "job")});
  if (job == nullptr || job->owner.text != identity_.id || job->is_detached || job->is_keyed)
    return;
  if (!std::exchange(job->is_read, true)) hub_.tell_read(job->key);
}

void ClientSession::answer(wire::RequestId id, const std::string& verb, const wire::Map& args) {
  if (!still_allowed()) return;
  auto taken = hub_.budget().take({identity_.id}, Resource::kRequests, 1);
  if (!taken) return driver_->session().respond(id, std::unexpected(taken.error()));
  const auto share = std::make_shared<Share>(std::move(*taken));
  const Respond respond = [weak = weak_from_this(), id, share](const Result<wire::Map>& result) {
    const auto self = weak.lock();
    if (!self || !self->serves()) return;
    self->driver_->session().respond(id, result);
    self->driver_->flush_soon();
  };
  asked_.push_back({verb, args, respond});
  if (asked_.size() == 1) ask_next();
}

// One after another, each in its user's turn, and while he reads the answers: those that he leaves
// unread are not to be made.
void ClientSession::ask_next() {
  while (!asked_.empty() && !driver_->session().is_backlogged()) {
    Asked asked = std::move(asked_.front());
    asked_.pop_front();
    // Small ones pass by what reads much.
    if (!ask(std::move(asked))) return;
  }
}

// False: the next one is asked for when this one has had its turn.
bool ClientSession::ask(Asked asked) {
  const bool is_much = reads_much(asked.verb);
  auto now = [weak = weak_from_this(), asked = std::move(asked)](const TurnSlot& slot) mutable {
    const auto self = weak.lock();
    if (!self || !self->serves()) return;
    if (self->driver_->session().is_backlogged()) return self->asked_.push_front(std::move(asked));
    self->answer_now(asked.verb, asked.args,
                     [respond = std::move(asked.respond), slot](const Result<wire::Map>& result) {
                       respond(result);
                     });
    self->ask_next();
  };
  if (is_much)
    hub_.turns().ask_much(identity_.id, std::move(now));
  else
    hub_.turns().ask(identity_.id, [now = std::move(now)]() mutable { now({}); });
  return is_much;
}

void ClientSession::answer_now(const std::string& verb, const wire::Map& args,
                               const Respond& respond) {
  if (const ScheduleVerb schedule_verb = find_schedule_verb(verb))
    return schedule_verb(hub_, {{identity_.id}, name_, actor()}, args, respond);
  const Verb method = find_verb(verb);
  if (method == nullptr)
    return respond(fail(Code::kUsage, "this controller does not know the request \"" + verb + "\"",
                        "is it older than this client? rexec version"));
  (this->*method)(args, respond);
}

std::uint64_t ClientSession::await_end(const std::shared_ptr<Job>& job,
                                       std::function<void()> then) {
  if (!serves()) return 0;
  if (job->is_final()) {
    then();
    return 0;
  }
  const std::uint64_t number = next_wait_++;
  waits_[number] = hub_.when_final(job, [weak = weak_from_this(), number, then = std::move(then)] {
    const auto self = weak.lock();
    if (!self) return;
    self->waits_.erase(number);
    then();
  });
  return number;
}

}  // namespace rexec::controller
