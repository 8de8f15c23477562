// Keeps the jobs that wait and performs what the queue decides of them: starts them when their
// terms are met, ends them when these cannot be met any more, tells those who watch. A node is sent
// as many starts as it has room for, the others stand in its line. An attached job whose client is
// gone does not wait for longer than its --on-disconnect says, and with `stop` does not start
// before he is back. What may start when is queue.*; how a start gets to its node is
// agent_session.*. What one event sets in motion may be a hundred thousand jobs: so many at a time
// are looked at, the others in the reactor's next turns, between what everybody else asks for.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "src/controller/core/jobs.hpp"
#include "src/controller/core/queue.hpp"

namespace rexec::net {
class Timer;
}

namespace rexec::controller {

class Hub;

// A client that lost its link is back by then; what it watches does not end for it.
inline constexpr Millis kClientBack{5'000};

class Dispatcher {
 public:
  // `on_wait` comes whenever the job waits for something else; `on_over` once: it is on its way to
  // its node, or has ended without.
  struct Watcher {
    std::function<void(const std::string& why)> on_wait;
    std::function<void()> on_over;
  };
  using WatcherId = std::uint64_t;
  using Watchers = std::map<WatcherId, Watcher>;
  // After the commit of the end.
  using Done = std::move_only_function<void(Result<void>)>;

  explicit Dispatcher(Hub& hub);
  ~Dispatcher();
  // A job with terms that is committed: starts it, or lets it wait. `endings`: of those jobs in its
  // terms that have ended.
  void admit(const std::shared_ptr<Job>& job, std::map<JobId, Ending> endings);
  // The same for all jobs of a former run of the controller, which may have been dispatched then,
  // in the order of their arrival.
  using Restored = std::pair<std::shared_ptr<Job>, std::map<JobId, Ending>>;
  void restore(const std::vector<Restored>& jobs);
  // The hub tells what may change something. job_ended: those who watched it, who are yet to hear
  // that it is over.
  [[nodiscard]] Watchers job_ended(Job& job);
  void node_changed(const NodeId& node, Presence presence);
  // It may start: goes to its node, or into that one's line.
  void send(std::shared_ptr<Job> job);
  // The same of an attached job that was sent before and that its node has not got; the node was
  // away for so long. A client who went meanwhile was not seen to.
  void send_again(const std::shared_ptr<Job>& job, Nanos away);
  void room_on(const NodeId& node);

  // It is not to be sent to its node yet.
  bool is_held(const JobId& job) const { return held_.contains(job); }
  // Says in job.waiting what it waits for at this moment; for whoever is about to show it.
  void refresh(Job& job) const;
  // Only for a job that waits.
  // `owns`: the client that runs the job, which has not ended then.
  WatcherId watch(Job& job, Watcher watcher, bool owns);
  void unwatch(const JobId& job, WatcherId watcher, bool client_ended);
  // The client that submitted the job is gone and never watched it, or has ended: then the job
  // ends as soon as nobody else watches it.
  void left(const JobId& job, bool client_ended = false);
  // Its user left on purpose: it waits without him, and runs as a detached job does.
  void leave(Job& job);
  // A person does not want it any more; `signal`: what he pressed. Only for a job that waits.
  void cancel(Job& job, int signal, const std::string& actor, Done done);
  // None of those who wait has its turn because `action` ends others: that comes afterwards.
  void without_turns(const std::function<void()>& action);
  // Its user was revoked before any node had it.
  void deny(Job& job);
  // That for all who wait.
  void end_orphans();

 private:
  // kQueued: see queue.*. kReleased: its turn has come, which is being committed. kInLine: nothing
  // but room at its node is missing.
  enum class Stage { kQueued, kReleased, kInLine };
  struct Held {
    std::shared_ptr<Job> job;
    std::optional<Millis> alone;  // how long it waits without anybody who watches; none: for ever
    BootTime alone_until = BootTime::max();
    Watchers watchers;
    std::string told;  // what these heard last
    Stage stage = Stage::kQueued;
    bool is_left = false;    // whoever watched is gone
    bool has_ended = false;  // and was the job's client, whose process ends
    bool is_parked = false;  // could go on, but for that
  };
  Held& hold(const std::shared_ptr<Job>& job, Stage stage);
  bool park(Held& held);
  void unpark(const JobId& id);
  void tell(const Held& held);
  void enqueue(const std::shared_ptr<Job>& job, std::map<JobId, Ending> endings);
  void run();
  void run_soon();
  void perform(const Queue::Step& step);
  void release(const JobId& id);
  void start(std::shared_ptr<Job> job);
  void refuse(const Queue::Refusal& refusal);
  void end(Job& job, wire::Map record, const std::string& actor, const std::string& verb,
           Done done = {});
  void set_alone(const JobId& id, Held& held, BootTime until);
  // False: there are more.
  bool expire_alone(BootTime now);
  std::string why(const Job& job) const;
  void arm();
  Watchers take_watchers(const JobId& id);

  Hub& hub_;
  Queue queue_;
  std::map<JobId, Held> held_;
  std::unordered_map<NodeId, std::deque<JobId>> lines_;  // of those that are still held
  std::set<std::pair<BootTime, JobId>> alone_;           // of those that nobody watches
  std::unique_ptr<net::Timer> timer_;
  WatcherId next_watcher_ = 1;
  bool is_running_ = false;
  bool runs_soon_ = false;
};

// "exited with 0" is what ok means of a final job.
Ending ending_of(const Job& job);

}  // namespace rexec::controller
