// The schedules of this node: keeps what the controller sends, fires it through the job book
// whether or not the controller is there, and tells the session when there is something to tell.
// What fires when is held_schedule.* and src/schedule; this only watches the clock and the disk.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>

#include "src/agent/held_schedule.hpp"
#include "src/base/error.hpp"
#include "src/job/ipc/link.hpp"

namespace rexec::agent {

// What the schedules need of the process they live in; run.cpp ties it to the job book and timers.
struct SchedulePorts {
  enum class Found { kRuns, kEnded, kNot };
  // Of a job that is there already it answers what became of it. kNot comes with why.
  std::function<void(const job::link::Start&, const std::string& spec,
                     std::function<void(Found, const Error&)>)>
      start;
  std::function<void(const JobId&, std::function<void(Found, const Error&)>)> find;
  std::function<void(const JobId&)> stop;  // with its own grace
  // Each calls its function once, the last one asked for; none: not at all.
  std::function<void(std::optional<Millis>)> wake_after;   // Schedules::wake
  std::function<void(std::optional<Millis>)> flush_after;  // Schedules::save
  std::function<void()> changed;                           // news() has something
};

class Schedules {
 public:
  Schedules(std::string data_dir, NodeId node, SchedulePorts ports);
  // Once it is known what runs: takes up what an earlier run of net left, and begins to fire.
  void begin();
  void job_ended(const JobId& job);
  // schedule.list, schedule.put, schedule.keep; see wire/PROTOCOL.md.
  Result<wire::Map> answer(const std::string& verb, const wire::Map& args);
  // The states that changed since they were given last, as many as one message holds; empty: none.
  wire::Map news();
  bool has_news() const { return !news_.empty(); }
  // The controller is gone: when it is back it asks for all, and names all again.
  void lost_controller() {
    news_.clear();
    naming_.clear();
  }
  // The clock may have reached something.
  void wake();
  void save();

 private:
  Result<wire::Map> list(const wire::Map& args) const;
  Result<wire::Map> put(const wire::Map& args);
  Result<wire::Map> keep(const wire::Map& args);
  void forget(const std::string& id);
  void resume(HeldSchedule& held);
  void perform(const std::string& id, const Steps& steps);
  void start(const std::string& id, const HeldFiring& firing);
  void on_start(const std::string& id, const JobId& job, SchedulePorts::Found found,
                const Error& error);
  void changed(const std::string& id);
  std::optional<wire::Map> state_of(const std::string& id) const;
  void save_definition(const std::string& id);
  void save_one(const std::string& id);
  void tick(const std::string& id, HeldSchedule& held, WallTime now);
  void arm();
  void wake_at(WallTime due);

  std::string data_dir_;
  NodeId node_;
  SchedulePorts ports_;
  std::map<std::string, HeldSchedule> held_;
  std::map<std::string, ScheduleProgress> gone_;   // cursors of what was held: it may come back
  std::size_t spec_bytes_ = 0;                     // of those that are held
  std::unordered_map<JobId, std::string> of_job_;  // whose firing it is, of those that were begun
  std::set<std::string> unsaved_;                  // whose progress is not on the disk
  std::set<std::string> news_;
  std::set<std::string> naming_;  // by the pages of a schedule.keep that is not whole yet
  std::optional<WallTime> wakes_;
};

}  // namespace rexec::agent
