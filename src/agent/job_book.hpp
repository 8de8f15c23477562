// Every attempt this net process knows, and the spawner's socket behind them. It asks the spawner
// to start or open a job, takes its answers, and tells the session what there is to report. It
// knows no controller: the session (session.*) does.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "src/agent/local_job.hpp"

namespace rexec::agent {

class JobBook {
 public:
  struct Events {
    std::function<void(LocalJob&)> on_started;
    std::function<void(LocalJob&)> on_ended;
    std::function<void(LocalJob&)> on_held;  // or not any more
    std::function<void()> on_synced;         // the spawner has told all there was
    std::function<void()> on_spawner_gone;   // net has no reason to live on
  };
  // nullptr with the error when the attempt cannot be had.
  using OnJob = std::function<void(std::shared_ptr<LocalJob>, const Error&)>;

  // `node`: this node's name, for records that no shim writes.
  JobBook(const net::Executor& executor, os::UniqueFd spawner, std::string node, Events events);

  void start(const job::link::Start& start, const std::string& spec, OnJob on_job);
  // Finds it here, or asks the spawner.
  void open(const AttemptKey& key, OnJob on_job);
  // Calls back when the attempt after this one is there, or with nullptr when there will be none.
  void await_next(const std::shared_ptr<LocalJob>& job, OnJob on_job);
  // The controller has the record: the spawner may forget it in time. Or it knows only that another
  // attempt follows.
  enum class Known { kEnd, kRestart };
  void acknowledged(const AttemptKey& key, Known known);
  void remove(const AttemptKey& key);
  // All of its output is where it was wanted; `noted` comes when that is on the disk.
  void was_read(const AttemptKey& key, OnJob noted);
  // The controller may have forgotten what it acknowledged: all there is becomes unreported, then
  // `told` is called.
  void tell_all(std::function<void()> told);
  // Drops what nobody needs here any more.
  void release(const AttemptKey& key);
  bool synced() const { return synced_; }
  std::vector<std::shared_ptr<LocalJob>> unreported() const;
  std::shared_ptr<LocalJob> find(const AttemptKey& key) const;

 private:
  void synced();
  void on_message(ByteSpan bytes, std::vector<os::UniqueFd> fds);
  void handle(const job::link::ShimChannel& channel, std::vector<os::UniqueFd> fds);
  void handle(const job::link::Finished& finished, std::vector<os::UniqueFd> fds);
  void handle(const job::link::Refused& refused);
  void halt(LocalJob& job, const job::link::Stop& stop);
  void client_ended(const LocalJob& job);
  // What was ordered or said between two attempts is the newer one's.
  void settle(LocalJob& job);
  void begun(const AttemptKey& key);
  void give_up_next(const LocalJob& job);
  std::shared_ptr<LocalJob> obtain(const AttemptKey& key);
  void answer(const AttemptKey& key, const std::shared_ptr<LocalJob>& job, const Error& error);
  void send(const job::link::ToSpawner& message, std::vector<os::UniqueFd> fds = {});

  net::Executor executor_;
  std::string node_;
  Events events_;
  std::map<AttemptKey, std::shared_ptr<LocalJob>> jobs_;
  std::multimap<AttemptKey, OnJob> waiting_;
  std::multimap<AttemptKey, OnJob> awaited_;  // not there yet
  // Jobs that are being ended while no attempt is known to run: one may just be starting.
  std::map<JobId, job::link::Stop> halting_;
  std::set<JobId> without_client_;  // the same, of jobs whose client has ended
  MessageSocket spawner_;
  bool synced_ = false;
  std::function<void()> told_;
};

}  // namespace rexec::agent
