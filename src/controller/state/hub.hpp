// What the controller's sessions share: who there is, what runs, the store behind it, and the
// effects that one session has on others (a node came online, a job ended, somebody was revoked).
// One thread; the store answers through the reactor.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "src/controller/core/budget.hpp"
#include "src/controller/core/jobs.hpp"
#include "src/controller/core/key_set.hpp"
#include "src/controller/core/registry.hpp"
#include "src/controller/core/renewals.hpp"
#include "src/controller/core/turns.hpp"
#include "src/controller/core/wishes.hpp"
#include "src/controller/state/dispatcher.hpp"
#include "src/controller/state/ended_jobs.hpp"
#include "src/controller/state/node_log.hpp"
#include "src/controller/state/schedules.hpp"
#include "src/pki/authority.hpp"
#include "src/pki/ticket.hpp"
#include "src/store/engine/store.hpp"

namespace asio {
class io_context;
}

namespace rexec::controller {

class AgentSession;
class ClientSession;

// A session that the hub may end: a revoked principal has none a second later.
class Member {
 public:
  virtual ~Member() = default;
  virtual const pki::Identity& identity() const = 0;
  virtual void end(const Error& reason) = 0;
};

struct HubParts {
  store::Store& store;
  pki::Authority authority;
  pki::TicketKey tickets;
  std::vector<std::string> addresses;  // that tokens name
};

class Hub {
 public:
  Hub(asio::io_context& context, HubParts parts);
  struct Lookups {  // into the store that is being loaded
    std::function<std::string(const std::string& hash)> spec;
    std::function<std::uint64_t(const std::string& hash)> spec_bytes;  // 0: it is not there
    std::function<std::optional<store::JobRow>(const JobId& id)> job;
  };
  void load(store::Snapshot snapshot, const Lookups& lookups);

  // --- people and certificates
  // kRevoked, kExpired (past the renewal grace), kDenied for somebody who is not there any more.
  Result<void> check(const pki::Identity& identity) const;
  const store::UserRow* user(const std::string& id) const;
  bool is_admin(const std::string& user_id) const;
  // Nothing of somebody else's is begun: not when it is submitted, nor when its turn comes.
  bool is_live_user(const UserId& id) const;
  std::map<std::string, store::UserRow>& users() { return users_; }
  void add_node(const store::NodeRow& row);
  // Marks it gone, ends its jobs and its sessions: it was removed, or another took its name.
  void forget_node(const NodeId& id);
  // After load(), when the store runs: the jobs of nodes that are gone. A crash may have come
  // between the commit that removed a node and those of its jobs' ends.
  void end_jobs_of_gone_nodes();
  // Who may have what the job wrote: its node; once that is gone the one of its name, which it is
  // itself if it has joined again in its directory. nullptr: nobody.
  Node* holder_of(const Job& job);
  // Of a job that has ended: whom to ask for what it wrote, connected or not. nullptr: nobody has
  // it; then, or when the node says so, why_unreachable() is "forgotten", "removed" or "replaced",
  // or empty when there was nothing.
  Node* output_holder(const Job& job);
  std::string why_unreachable(const Job& job);
  // Ends his sessions and what of his no node has begun; what runs goes on, its last attempt.
  void forget_user(const std::string& id);
  // It may stay when its identity is good (check) and has not too many sessions already: kLimit.
  // Either way it is a member until it leaves.
  Result<void> join(Member& member);
  void leave(Member& member);
  void end_all(const Error& reason);

  // --- the store: `done` comes back on the reactor. An operation is run and freed on the store's
  // thread: it captures values alone, nothing that has a Share or is otherwise the reactor's.
  void post(store::Store::Operation operation, std::move_only_function<void(Result<void>)> done,
            store::Urgency urgency = store::Urgency::kNow);
  // See Store::backup.
  void backup(std::string path, std::vector<store::BackupFile> files,
              std::move_only_function<void(Result<void>)> done);
  template <class T>
  void ask(std::move_only_function<Result<T>(store::Database&)> operation,
           std::move_only_function<void(Result<T>)> answered) {
    parts_.store.ask<T>(
        std::move(operation), [this, answered = std::move(answered)](Result<T> result) mutable {
          next_turn([answered = std::move(answered), result = std::move(result)]() mutable {
            answered(std::move(result));
          });
        });
  }

  // --- jobs
  Registry& registry() { return registry_; }
  // Those that have not ended and the last that have: see find_job for all the others.
  JobTable& jobs() { return jobs_; }
  // Those of them that wait before they start.
  Dispatcher& dispatcher() { return dispatcher_; }
  Schedules& schedules() { return schedules_; }
  EndedJobs& ended_jobs() { return ended_jobs_; }
  // What each user has of what all need.
  Budget& budget() { return budget_; }
  // A job's spec with what it takes of its owner's budget until the last who needs it, which is the
  // job until its node has started it, lets go of it. `beside`: bytes that its terms take. Stored
  // jobs are not refused: kHold.
  enum class Keeping : std::uint8_t { kTake, kHold };
  Result<std::shared_ptr<const KeptSpec>> keep_spec(const UserId& owner, std::string spec,
                                                    Keeping keeping, std::size_t beside = 0);
  // How many there are altogether.
  std::size_t job_count() const { return job_count_; }
  // A new job, in memory alone as yet.
  Job& add_job(Job job);
  // A foreign job answers like one that does not exist.
  bool may_see(const std::string& user_id, const Job& job) const;
  // The job of that id, or of a unique beginning of it (4 characters or more, with or without
  // "j-"), among those that the user may see: kUnknownJob, kAmbiguousJob, kUsage. At once for a
  // whole id of a job in memory; else after a look into the store. One from there is a copy of its
  // row, and final.
  using FoundJob = std::function<void(Result<std::shared_ptr<Job>>)>;
  void find_job(const std::string& user_id, const std::string& prefix, FoundJob found);
  // Brings back into memory what the store has of them, then goes on: while `ready` runs,
  // jobs().find() and jobs().of_request() know all there is. At once when there is nothing to
  // bring. recall_requests: kConflict when a job of one of them was removed and its key is kept.
  using Ready = std::move_only_function<void(Result<void>)>;
  void recall(std::vector<JobId> ids, Ready ready);
  void recall_requests(const UserId& owner, std::vector<std::string> requests, Ready ready);
  // After recall() of it: somebody removed it, whatever a node says of it.
  bool was_removed(const JobId& id) const;
  // Why what a node says it saw (`seen` of its reconcile) is not of our database's history; empty
  // when it is.
  void compare_history(const wire::Map& reconcile,
                       std::function<void(Result<std::string>)> answered);
  // Told loudly and for good: the log, the audit log, `status`.
  void note_old_history(const NodeId& node, const wire::Map& reconcile, const std::string& why);
  // The last of these, {node, why, at, count}; null when there was none since the start, or all
  // were accepted.
  wire::Map old_history() const;
  // The last of each node.
  wire::Map list_old_histories(std::size_t most) const;
  // Somebody looked into them: they are told no more, also when a node says the same again. How
  // many there were.
  void accept_old_histories(const std::string& actor,
                            std::move_only_function<void(Result<std::size_t>)> done);
  // After their rows are gone from the store.
  void forget_jobs(const store::Pruned& gone);
  // The operation that wrote jobs which have ended says here what they take of the disk; then they
  // are told to be there.
  void note_ended(const store::MeasuredEnds& ends);
  // Writes the job's row; an attached job's is written behind.
  void save(const Job& job, std::move_only_function<void(Result<void>)> done);
  void running(Job& job, WallTime started);
  // `done` after the commit. An end by our own word, which no node tells again, is written until it
  // is on the disk, and those who wait for it hear of it then.
  void finished(Job& job, wire::Map record, std::move_only_function<void(Result<void>)> done);
  // Of a job that has ended: when that is on the disk.
  void when_end_kept(const Job& job, std::move_only_function<void(Result<void>)> done);
  // An attempt ended and another follows at `next`; or it is one before the job's present attempt.
  void attempt_ended(Job& job, const AttemptKey& key, const wire::Map& record, WallTime next,
                     std::move_only_function<void(Result<void>)> done);
  void attempt_began(Job& job, std::uint32_t attempt, WallTime started);
  // Calls back once, when the job is final; at once if it is.
  [[nodiscard]] Wish when_final(const std::shared_ptr<Job>& job, std::function<void()> callback);
  // A ticket that is ours for a job we do not know: the job as the ticket tells it. nullptr when it
  // is not ours.
  Job* adopt(const AttemptKey& key, const std::string& ticket, const NodeId& node);
  // Sends the job to the node if that is connected and the job has neither started nor to wait.
  void dispatch(Job& job);
  // Its turn has come.
  void start_on_node(Job& job);

  // Stops it: at once when no node has heard of it, else by its node, or, when that is away, once
  // the order is kept for it. `ordered` has the job as a map, or {taken} when its node is ending
  // it.
  using Ordered = std::function<void(const Result<wire::Map>&)>;
  void order_stop(const std::shared_ptr<Job>& job, std::optional<std::uint64_t> grace_ms,
                  const std::string& actor, Ordered ordered);

  // --- nodes
  NodeLog& node_log() { return node_log_; }
  // True, and the newcomer is sent away, when another machine with this node's identity is
  // connected: two would each start what is dispatched again. The first keeps its place for as
  // long as it is heard of.
  bool refuse_duplicate(const Node& node, AgentSession& newcomer);
  void node_online(Node& node, AgentSession& session);
  void node_gone(Node& node, AgentSession& session);
  // Of a node that is connected; `answered` may be called with kLinkLost.
  void ask_node(const Node& node, std::string_view verb, wire::Map args,
                std::function<void(const Result<wire::Map>&)> answered);
  // Runs when everything that has come before it has had its turn.
  void next_turn(std::move_only_function<void()> action);
  // Of those who ask for something.
  Turns& turns() { return turns_; }
  Renewals& renewals() { return renewals_; }
  // Runs once, after a while.
  void after(Millis time, std::function<void()> action);
  // Runs when the node is connected and reconciled, at once if it is; or when it is removed.
  [[nodiscard]] Wish when_online(const NodeId& node, std::function<void()> action);
  // The run of this job has all of its output. Its node is told, as often as its link goes before
  // it has written that down, while the job is in memory.
  void tell_read(const AttemptKey& key);
  // Runs when none of them is expected back any more. A node that was connected moments ago is, and
  // all are when the controller has just started: each has kBackSoon to dial again before a new job
  // is told that it is offline. At once if there is nothing to wait for.
  void when_settled(std::vector<NodeId> nodes, std::function<void()> action);
  // How long it has been away, as far as this run of the controller knows; zero when connected.
  Nanos away_for(const NodeId& id);

  asio::io_context& context() { return context_; }
  const pki::Authority& authority() const { return parts_.authority; }
  const pki::TicketKey& tickets() const { return parts_.tickets; }
  const std::vector<std::string>& addresses() const { return parts_.addresses; }
  const std::string& epoch() const { return epoch_; }
  std::size_t session_count() const { return members_.size(); }
  BootTime started_at() const { return started_; }
  store::Store& store() { return parts_.store; }

 private:
  struct Settling;
  void settle_on(const std::shared_ptr<Settling>& settling);
  std::shared_ptr<const void> place_of(const UserId& owner);
  // What stored jobs' commands take of the disk, one share for the jobs of a fan-out.
  using KeptSpecs = std::unordered_map<std::string, std::shared_ptr<const void>>;
  void hold_kept_spec(Job& job, const Lookups& lookups, KeptSpecs& held);
  void tell_online(const NodeId& id);
  void tell_final(const JobId& id);
  void tell_end(const JobId& id, const Dispatcher::Watchers& watchers);
  using SharedWatchers = std::shared_ptr<const Dispatcher::Watchers>;
  void keep_end(const Job& job, SharedWatchers watchers,
                std::move_only_function<void(Result<void>)> done);
  void keep_attempt(const AttemptKey& key, const wire::Map& record);
  void end_jobs_of_gone(const NodeId& id);
  // Its node runs what we have told everybody is over.
  void stop_stray(const Job& job, std::uint32_t attempt);
  // Of a job between two attempts whose user was revoked: its node is told that no other follows.
  void end_restarts(const Job& job);
  // How long it may still be on its way back; zero when it is there or not expected.
  Nanos expected_for(const NodeId& id);
  void deliver_stop(const std::shared_ptr<Job>& job, const Ordered& ordered);
  void stop_answered(const std::shared_ptr<Job>& job, const Result<wire::Map>& answer,
                     const Ordered& ordered);
  void tell_stop_again(const std::shared_ptr<Job>& job, const Ordered& ordered);
  void forget_stop(const JobId& job);
  void cancel_stopped(const std::vector<store::StopRow>& stops);
  // Of a start that is on its way to its node: it ends there.
  void withdraw(const Job& job);
  void dispatch_rest(const NodeId& node, AgentSession& session, std::optional<JobOrder> from,
                     Nanos away);
  // Of attached jobs whose command went with a former run of the controller: their node has not got
  // them, and their clients, who could submit them again, are not back.
  void end_without_command(const std::vector<JobId>& ids);
  void end_sessions(pki::Role role, const std::string& id, const Error& reason);
  void restore_waiting(const std::vector<store::TermsRow>& rows, const Lookups& lookups);
  void use_recalled(Result<std::vector<store::JobRow>> rows, Ready ready);
  Result<std::shared_ptr<Job>> choose(const std::string& user_id, const std::string& typed,
                                      const std::string& prefix,
                                      const std::vector<store::JobRow>& rows);

  asio::io_context& context_;
  HubParts parts_;
  Budget budget_;
  Registry registry_;
  JobTable jobs_;
  Dispatcher dispatcher_;
  Schedules schedules_;
  EndedJobs ended_jobs_;
  struct OldHistory {
    wire::Map told;
    std::string run;  // that the node says it saw
    std::uint64_t count = 0;
    BootTime noted{};
  };
  std::map<NodeId, OldHistory> old_histories_;
  NodeId newest_old_history_;
  KeySet requests_;  // of every job there is, and of those whose key outlived them
  std::size_t job_count_ = 0;
  std::unordered_set<JobId> removed_;            // of the jobs that nodes named
  std::map<std::string, store::UserRow> users_;  // by id, revoked ones too
  std::unordered_set<std::string> revoked_serials_;
  std::unordered_set<std::string> gone_nodes_;
  std::set<Member*> members_;
  std::map<std::pair<pki::Role, std::string>, std::size_t> sessions_of_;
  Turns turns_;
  Renewals renewals_;
  Wishes<JobId> when_final_;
  Wishes<NodeId> when_online_;
  NodeLog node_log_;
  std::string epoch_;
  BootTime started_;
};

// Rows of the store and jobs of memory.
store::JobRow job_row(const Job& job);
Job job_from_row(const store::JobRow& row);
Node node_from_row(const store::NodeRow& row);

}  // namespace rexec::controller
