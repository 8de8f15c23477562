#include "src/controller/state/hub.hpp"

#include <algorithm>

#include "src/base/fail_point.hpp"
#include "src/base/log.hpp"
#include "src/controller/state/agent_session.hpp"
#include "src/controller/state/policy.hpp"
#include "src/net/listener.hpp"
#include "src/net/task.hpp"
#include "src/store/tables/removed_jobs.hpp"

namespace rexec::controller {
namespace {

// What the node's log says: the same directory may join again, and keeps its jobs.
constexpr const char* kLetInAgain =
    "to let it in again: rexec token new --node NAME, then on the node: rexec join rx1_…";

// Of a node's jobs that are looked at before others have their turn: a millisecond or two.
constexpr std::size_t kMostInTurn = 500;

}  // namespace

Hub::Hub(asio::io_context& context, HubParts parts)
    : context_(context),
      parts_(std::move(parts)),
      dispatcher_(*this),
      schedules_(*this),
      ended_jobs_(*this),
      turns_({BootClock::now,
              [this](Nanos time, std::function<void()> action) {
                if (time <= Nanos::zero()) return next_turn(std::move(action));
                after(std::chrono::ceil<Millis>(time), std::move(action));
              }}),
      epoch_(random_id('e')),
      started_(BootClock::now()) {}

void Hub::load(store::Snapshot snapshot, const Lookups& lookups) {
  for (const auto& row : snapshot.users) users_[row.id.text] = row;
  for (const auto& row : snapshot.nodes) {
    if (row.removed)
      gone_nodes_.insert(row.id.text);
    else
      registry_.put(node_from_row(row));
  }
  for (const auto& row : snapshot.certificates)
    if (row.revoked) revoked_serials_.insert(row.serial);
  job_count_ = snapshot.request_keys.size();
  requests_.reserve(job_count_ + snapshot.removed_keys.size());
  for (const std::uint64_t key : snapshot.request_keys) requests_.insert(key);
  for (const std::uint64_t key : snapshot.removed_keys) requests_.insert(key);
  std::unordered_map<std::string, std::shared_ptr<const KeptSpec>> specs;  // one per fan-out
  KeptSpecs kept_specs;
  std::unordered_set<std::string> with_terms;
  for (const auto& row : snapshot.terms) with_terms.insert(row.job.text);
  for (const auto& row : snapshot.unfinished) {
    Job& job = jobs_.add(job_from_row(row));
    job.place = place_of(job.owner);
    const bool acknowledged = job.is_detached || with_terms.contains(job.key.job.text);
    if (job.state != JobState::kRunning && acknowledged) {
      auto& spec = specs[job.spec_hash];
      if (!spec) spec = *keep_spec(job.owner, lookups.spec(job.spec_hash), Keeping::kHold);
      if (!spec->empty()) job.spec = spec;
    }
    hold_kept_spec(job, lookups, kept_specs);
  }
  for (const auto& row : snapshot.stops)
    if (Job* job = jobs_.find(row.job)) job->stop = PendingStop{row.grace_ms};
  restore_waiting(snapshot.terms, lookups);
  cancel_stopped(snapshot.stops);
  dispatcher_.end_orphans();  // a crash may have come between a revocation and these ends
  schedules_.load(snapshot.schedules, lookups.job);
}

void Hub::hold_kept_spec(Job& job, const Lookups& lookups, KeptSpecs& held) {
  auto& share = held[job.owner.text + job.request + job.spec_hash];
  if (!share) {
    const auto bytes = job.spec ? job.spec->size() : lookups.spec_bytes(job.spec_hash);
    share = std::make_shared<const Share>(budget_.hold(job.owner, Resource::kKeptSpecs, bytes));
  }
  job.kept_spec = share;
}

void Hub::restore_waiting(const std::vector<store::TermsRow>& rows, const Lookups& lookups) {
  std::vector<std::pair<JobOrder, std::shared_ptr<Job>>> found;
  for (const auto& row : rows) {
    const auto job = jobs_.share(row.job);
    const auto terms =
        read_terms(wire::Map::parse(row.terms, nullptr, false), kMostStoredDependencies);
    if (!job || !terms) continue;
    job->terms = std::make_shared<const Terms>(*terms);
    found.push_back({{job->created, job->key.job}, job});
  }
  std::ranges::sort(found, [](const auto& a, const auto& b) { return b.first < a.first; });
  std::vector<Dispatcher::Restored> jobs;
  for (const auto& [order, job] : found) {
    std::map<JobId, Ending> endings;
    for (const Dependency& one : job->terms->after) {
      if (jobs_.find(one.job) != nullptr) continue;
      const auto row = lookups.job(one.job);
      // Only what has ended can be removed, and this job waits on: so that end was the right one.
      endings[one.job] = row                        ? ending_of(job_from_row(*row))
                         : one.when == After::kFail ? Ending::kFailed
                                                    : Ending::kOk;
    }
    jobs.emplace_back(job, std::move(endings));
  }
  dispatcher_.restore(jobs);
}

Result<void> Hub::check(const pki::Identity& identity) const {
  if (identity.cluster != parts_.authority.cluster())
    return fail(Code::kDenied, "the certificate is of another cluster");
  const bool is_user = identity.role == pki::Role::kUser;
  const auto person = users_.find(identity.id);
  const bool revoked = revoked_serials_.contains(identity.serial) ||
                       gone_nodes_.contains(identity.id) ||
                       (is_user && person != users_.end() && person->second.revoked);
  if (revoked)
    return fail(
        Code::kRevoked, is_user ? "your certificate was revoked" : "this node was removed",
        is_user ? "ask an administrator for a new token, then: rexec login rx1_…" : kLetInAgain);
  if (is_user && person == users_.end())
    return fail(Code::kDenied, "this user is not known here any more");
  // Past its end but within the grace the holder may renew, so refusing its other requests would
  // protect nothing.
  if (pki::is_expired(identity, wall_now() - pki::kRenewalGrace))
    return fail(
        Code::kExpired,
        "the certificate ended at " + to_iso8601(identity.not_after) + ", it is " +
            to_iso8601(wall_now()) + " here",
        "ask for a new token, then: rexec login rx1_… (a person) or rexec join rx1_… (a node)");
  return {};
}

void Hub::add_node(const store::NodeRow& row) {
  registry_.put(node_from_row(row));
  schedules_.fleet_changed();
}

void Hub::end_sessions(pki::Role role, const std::string& id, const Error& reason) {
  std::vector<Member*> ending;
  for (Member* member : members_)
    if (member->identity().role == role && member->identity().id == id) ending.push_back(member);
  for (Member* member : ending) member->end(reason);
}

Result<void> Hub::join(Member& member) {
  const pki::Identity& identity = member.identity();
  members_.insert(&member);
  const std::size_t count = ++sessions_of_[{identity.role, identity.id}];
  if (auto allowed = check(identity); !allowed) return allowed;
  const std::size_t most = most_sessions(net::descriptor_limit());
  if (count <= most) return {};
  return fail(
      Code::kLimit,
      "there are " + std::to_string(most) + " sessions of this certificate's holder already",
      "each client that runs or waits holds one: rexec ps");
}

void Hub::leave(Member& member) {
  if (members_.erase(&member) == 0) return;
  const auto at = sessions_of_.find({member.identity().role, member.identity().id});
  if (--at->second == 0) sessions_of_.erase(at);
}

void Hub::end_all(const Error& reason) {
  const std::vector<Member*> all(members_.begin(), members_.end());
  for (Member* member : all) member->end(reason);
}

void Hub::forget_node(const NodeId& id) {
  gone_nodes_.insert(id.text);
  end_jobs_of_gone(id);
  end_sessions(pki::Role::kNode, id.text, {Code::kRevoked, "this node was removed", kLetInAgain});
  node_log_.forget(id);
  registry_.remove(id);
  dispatcher_.node_changed(id, Presence::kOffline);
  // It will not be online any more: whoever waits for that looks again.
  tell_online(id);
}

void Hub::next_turn(std::move_only_function<void()> action) {
  asio::post(context_, std::move(action));
}

void Hub::post(store::Store::Operation operation, std::move_only_function<void(Result<void>)> done,
               store::Urgency urgency) {
  parts_.store.post(
      std::move(operation),
      [this, done = std::move(done)](Result<void> result) mutable {
        next_turn([done = std::move(done), result = std::move(result)]() mutable {
          if (done) done(std::move(result));
        });
      },
      urgency);
}

void Hub::backup(std::string path, std::vector<store::BackupFile> files,
                 std::move_only_function<void(Result<void>)> done) {
  parts_.store.backup(
      std::move(path), std::move(files), [this, done = std::move(done)](Result<void> made) mutable {
        next_turn(
            [done = std::move(done), made = std::move(made)]() mutable { done(std::move(made)); });
      });
}

void Hub::save(const Job& job, std::move_only_function<void(Result<void>)> done) {
  if (job.is_removed) {  // a late word of its node must not bring its row back
    if (done) done({});
    return;
  }
  const bool is_awaited = job.is_detached || job.ended_here();
  const auto urgency = is_awaited ? store::Urgency::kNow : store::Urgency::kBehind;
  const auto ends = std::make_shared<store::MeasuredEnds>();
  auto row = job_row(job);
  const auto measure = row.ended_ms > 0 ? ended_jobs_.measure() : store::Measure::kNothing;
  post(
      [row = std::move(row), ends, measure](store::Database& db) {
        store::put_job(db, row);
        if (row.ended_ms > 0) *ends = store::measure_ends(db, {row.id}, measure);
      },
      [this, ends, done = std::move(done)](Result<void> saved) mutable {
        if (saved) note_ended(*ends);
        if (done) done(std::move(saved));
      },
      urgency);
}

void Hub::note_ended(const store::MeasuredEnds& ends) {
  for (const auto& [id, size] : ends.jobs) {
    const bool is_new = jobs_.retire(id);
    if (size && is_new)
      ended_jobs_.ended(*size);
    else if (size)
      ended_jobs_.command_kept(*size);
  }
  if (ends.used) ended_jobs_.database_has(*ends.used);
}

void Hub::running(Job& job, WallTime started) {
  if (job.is_final()) return stop_stray(job, job.key.attempt);
  if (!JobTable::apply_running(job, started)) return;
  fail_point(FailPoint::kControllerRunningApplied);
  save(job, {});
}

void Hub::finished(Job& job, wire::Map record, std::move_only_function<void(Result<void>)> done) {
  if (!JobTable::apply_final(job, std::move(record), wall_now())) {
    if (done) save(job, std::move(done));
    return;
  }
  jobs_.note_end(job);
  fail_point(FailPoint::kControllerEndApplied);
  if (job.key.attempt > 1) keep_attempt(job.key, *job.record);
  const JobId id = job.key.job;
  if (!job.ended_here()) {
    save(job, std::move(done));
    if (job.stop) forget_stop(id);
    return tell_end(id, dispatcher_.job_ended(job));
  }
  // What follows from this end is written after it.
  const auto watchers = std::make_shared<Dispatcher::Watchers>();
  keep_end(job, watchers, std::move(done));
  *watchers = dispatcher_.job_ended(job);
}

void Hub::dispatch(Job& job) {
  Node* node = registry_.find(job.node);
  if (node == nullptr || node->link == nullptr || job.spec == nullptr || job.is_final()) return;
  if (job.is_uncommitted || dispatcher_.is_held(job.key.job)) return;
  dispatcher_.send(jobs_.share(job.key.job));
}

void Hub::start_on_node(Job& job) {
  Node* node = registry_.find(job.node);
  if (node == nullptr || node->link == nullptr || job.is_final()) return;
  // Its node has been told, or is when it is back, and says what becomes of it.
  if (job.stop) return;
  if (!is_live_user(job.owner)) {
    if (!job.is_told) dispatcher_.deny(job);
    return;
  }
  job.state = std::max(job.state, JobState::kDispatched);
  node->link->start(job);
}

bool Hub::refuse_duplicate(const Node& node, AgentSession& newcomer) {
  if (node.link == nullptr || node.link->instance() == newcomer.instance()) return false;
  node_log_.say(
      LogLevel::kWarn, NodeNews::kDuplicate, node.id,
      "DUPLICATE_NODE: two machines have the identity of one node",
      {{"node", node.name}, {"connected", node.link->source()}, {"refused", newcomer.source()}});
  newcomer.end({Code::kConflict,
                "node \"" + node.name + "\" is connected already, from " + node.link->source(),
                "is its data directory copied to a second machine? join that one anew"});
  return true;
}

void Hub::node_online(Node& node, AgentSession& session) {
  if (refuse_duplicate(node, session)) return;
  if (node.link != nullptr && node.link != &session)
    node.link->end({Code::kConflict, "the same node connected again from " + session.source(),
                    "is its data directory copied to a second machine?"});
  const Nanos away = away_for(node.id);
  node.link = &session;
  node.last_seen = wall_now();
  node_log_.say(LogLevel::kInfo, NodeNews::kOnline, node.id, "node online",
                {{"node", node.name}, {"from", session.source()}});
  dispatch_rest(node.id, session, {}, away);
  schedules_.node_online(node.id);
  dispatcher_.node_changed(node.id, Presence::kOnline);
  tell_online(node.id);
}

void Hub::withdraw(const Job& job) {
  const Node* node = registry_.find(job.node);
  if (node != nullptr && node->link != nullptr) node->link->withdraw(job.key);
}

// What was to start there: some now, the rest in later turns, because there may be very many.
void Hub::dispatch_rest(const NodeId& id, AgentSession& session, std::optional<JobOrder> from,
                        Nanos away) {
  const Node* node = registry_.find(id);
  if (node == nullptr || node->link != &session) return;
  const auto jobs = jobs_.unfinished_on(id, from, kMostInTurn);
  std::vector<JobId> without_command;
  for (Job* one : jobs) {
    const auto job = jobs_.share(one->key.job);
    if (job->stop)
      deliver_stop(job, [](const Result<wire::Map>&) {});
    else if (job->is_bare())
      without_command.push_back(job->key.job);
    else if (job->state != JobState::kRunning)
      dispatcher_.send_again(job, away);
    else
      end_restarts(*job);
  }
  if (!without_command.empty())
    after(kClientBack, [this, ids = std::move(without_command)] { end_without_command(ids); });
  dispatcher_.room_on(id);
  if (jobs.size() < kMostInTurn) return;
  const JobOrder last{jobs.back()->created, jobs.back()->key.job};
  next_turn([this, id, keep = session.shared_from_this(), last, away] {
    dispatch_rest(id, *keep, last, away);
  });
}

void Hub::node_gone(Node& node, AgentSession& session) {
  if (node.link != &session) return;
  node.link = nullptr;
  node.last_seen = wall_now();
  node.lost_at = BootClock::now();
  node_log_.say(LogLevel::kInfo, NodeNews::kOffline, node.id, "node offline",
                {{"node", node.name}});
  fail_point(FailPoint::kControllerNodeGone);
  dispatcher_.node_changed(node.id, Presence::kOffline);
}

void Hub::ask_node(const Node& node, std::string_view verb, wire::Map args,
                   std::function<void(const Result<wire::Map>&)> answered) {
  if (node.link == nullptr) return answered(fail(Code::kLinkLost, "the node is not connected"));
  node.link->request(verb, std::move(args), std::move(answered));
}

void Hub::after(Millis time, std::function<void()> action) {
  auto timer = std::make_shared<net::Timer>(context_.get_executor());
  timer->arm(time, [timer, action = std::move(action)] { action(); });
}

}  // namespace rexec::controller
