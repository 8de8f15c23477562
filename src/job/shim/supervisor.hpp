// One running job from its start to its exit record: what the shim does while it lives. Passive:
// the loop tells it of children, pipes, messages and time; after each event advance() looks whether
// the next step towards the end can be taken.
#pragma once

#include <optional>
#include <string>

#include "src/job/shim/child.hpp"
#include "src/job/shim/journal.hpp"
#include "src/job/shim/net_link.hpp"
#include "src/job/shim/output_pump.hpp"
#include "src/job/shim/stdin_pump.hpp"
#include "src/job/shim/tree.hpp"
#include "src/job/spec/record.hpp"
#include "src/job/spool/spool.hpp"
#include "src/os/epoll.hpp"

namespace rexec::job {

class Supervisor {
 public:
  Supervisor(os::EventLoop& loop, ShimPlan plan, ShimOrder order, StartedJob job, JobTree tree);
  // Returns when the record is on disk and net has had its chance to read it.
  void run();
  // Where what was left behind on purpose still writes to.
  std::vector<os::UniqueFd> take_ends() { return output_.take_ends(); }

 private:
  // ---- events ----
  void on_children(int signal_fd);
  void on_report();
  void on_output();
  void on_leader_exit(os::ExitStatus status);
  bool on_message(const link::ToShim& message);
  bool handle(const link::Stdin& m);
  bool handle(const link::StdinEof& m);
  bool handle(const link::Signal& m);
  bool handle(const link::Stop& m);
  bool handle(const link::Resize& m);
  bool handle(const link::CloseOutput& m);
  bool handle(const link::Readers& m);
  bool handle(const link::Read& m);
  bool handle(const link::Leave& m);
  bool handle(const link::Newer&) { return true; }
  void on_link_lost();

  // ---- readers ----
  void hold_for(PerStream<std::uint64_t> reader, std::uint64_t ahead);
  void watch_idleness();
  void watch_memory();
  void look_at_memory(int looks);
  void readers_gone(link::Gone how);
  void readers_back();
  void tell_held();
  void disconnect_expired(std::string_view reason);

  // ---- the way to the end ----
  void stop(Outcome verdict, std::string reason, Millis grace);
  void terminate(Nanos grace);
  void kill_loop();
  void let_go();
  void begin_ending();
  void set_drain_deadline();
  void leave_full_disk();
  void advance();
  void finish();
  EndRecord compose() const;
  void judge(EndRecord& record) const;
  void write_record();
  // The directory was removed: nothing can be kept or told any more.
  bool directory_gone() const;
  void abandon();
  void leave();

  os::EventLoop& loop_;
  ShimPlan plan_;
  ShimOrder order_;
  StartedJob job_;
  JobTree tree_;
  SpoolWriter spool_;
  OutputPump output_;
  StdinPump stdin_;
  NetLink link_;
  BootTime began_;
  BootTime leader_ended_;
  BootTime active_;  // the last output or stdin

  std::optional<os::ExitStatus> status_;  // the leader's
  std::optional<StartFailure> failure_;   // why it never became the job
  std::optional<Outcome> verdict_;        // timeout or stopped, when that came before its exit
  std::string reason_;
  bool reap_pending_ = true;    // the leader is not reaped
  bool ending_ = false;         // begin_ending() was done
  bool asked_to_end_ = false;   // by stop, a limit or an absence: no end waits for a full disk then
  bool out_of_reach_ = false;   // what is left belongs to another user and was let go
  bool must_be_empty_ = false;  // no process may be left before the end
  bool finished_ = false;
  bool gone_ = false;  // leave() was called
  std::uint32_t left_behind_ = 0;
  std::uint32_t readers_ = 0;
  bool watched_ = false;  // a reader is attached or expected back: output is held for it
  std::optional<BootTime> alone_since_;  // it is expected back
  bool leave_running_ = false;           // the owner left on purpose
  Nanos kill_pause_{};
  std::optional<BootTime> kill_at_;  // a later stop makes it sooner, never later
  os::EventLoop::Token children_token_ = 0, report_token_ = 0;
  os::UniqueFd memory_events_;
  os::EventLoop::Token memory_token_ = 0, memory_timer_ = 0;
  os::EventLoop::Token timeout_ = 0, idle_ = 0, kill_timer_ = 0, drain_timer_ = 0,
                       disconnect_timer_ = 0, leave_timer_ = 0;
  EndRecord record_;
};

}  // namespace rexec::job
