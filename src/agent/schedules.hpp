// The schedules of this node: keeps what the controller sends, fires it through the job book
// whether or not the controller is there, and tells the session when there is something to tell.
// What fires when is held_schedule.* and src/schedule; this only watches the clock and the disk.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "src/agent/held_schedule.hpp"
#include "src/base/error.hpp"
#include "src/job/link.hpp"

namespace rexec::agent {

// What the schedules need of the process they live in; run.cpp ties it to the job book and timers.
struct SchedulePorts {
  enum class Found { kRuns, kEnded, kNot };
  // Of a job that is there already it answers what became of it. kNot comes with why.
  std::function<void(const job::link::Start&, const std::string& spec,
                     std::function<void(Found, const Error&)>)>
      start;
  std::function<void(const JobId&, std::function<void(Found, const Error&)>)> find;
  std::function<void(const JobId&, std::uint64_t grace_ms)> stop;
  // Each calls its function once, the last one asked for; none: not at all.
  std::function<void(std::optional<Millis>)> wake_after;   // Schedules::wake
  std::function<void(std::optional<Millis>)> flush_after;  // Schedules::save
  std::function<void()> changed;                           // states() has something new
};

class Schedules {
 public:
  Schedules(std::string data_dir, NodeId node, SchedulePorts ports);
  // Once it is known what runs: takes up what an earlier run of net left, and begins to fire.
  void begin();
  void job_ended(const JobId& job);
  // schedule.list, schedule.put, schedule.keep; see wire/PROTOCOL.md.
  Result<wire::Map> answer(const std::string& verb, const wire::Map& args);
  // Of all that are held, and of some that were.
  wire::Map states() const;
  // The clock may have reached something.
  void wake();
  void save();

 private:
  Result<wire::Map> put(const wire::Map& args);
  Result<wire::Map> keep(const wire::Map& args);
  void forget(const std::string& id);
  void resume(HeldSchedule& held);
  void perform(const std::string& id, const Steps& steps);
  void start(const std::string& id, const HeldFiring& firing);
  void on_start(const std::string& id, const JobId& job, SchedulePorts::Found found,
                const Error& error);
  void changed();
  void save_all();
  void arm();

  std::string data_dir_;
  NodeId node_;
  SchedulePorts ports_;
  std::map<std::string, HeldSchedule> held_;
  std::map<std::string, ScheduleProgress> gone_;  // cursors of what was held: it may come back
};

}  // namespace rexec::agent
