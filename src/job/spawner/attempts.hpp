// Every attempt on this node, as the spawner deals with them: starts, adopts, looks for, declares
// lost. What is true of an attempt is in its directory and its lock; the maps here only remember
// whom to watch. Part of the spawner.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "src/job/shim/launch.hpp"
#include "src/job/shim/shim.hpp"
#include "src/job/shim/tree.hpp"
#include "src/job/spawner/identity.hpp"
#include "src/job/spawner/restart.hpp"
#include "src/job/spool/attempt_dir.hpp"
#include "src/job/spool/retention.hpp"
#include "src/os/epoll.hpp"

namespace rexec::job {

class Attempts {
 public:
  using Post = std::function<void(link::FromSpawner, std::vector<os::UniqueFd>)>;
  Attempts(os::EventLoop& loop, os::UniqueFd jobs, NodeDefaults defaults, UserPolicy policy,
           NodeCgroups cgroups, RetentionLimits limits, Post post);
  ~Attempts();

  // What a predecessor left: adopts the living, declares lost or starts the others.
  void scan();
  // From net. The spec's descriptor may still be written to by net: it is copied before it is read.
  void start(const link::Start& start, os::UniqueFd spec);
  // Answers with what there is: ShimChannel, Finished, Refused; or later, while it is being
  // settled.
  void report(const AttemptKey& key);
  void reported(const link::Reported& reported);
  // The run in the foreground that began it has received all of its output: large output goes
  // after a while.
  void was_read(const AttemptKey& key);
  // The last of each job is unreported again.
  void forget_reports();
  // And the attempts before it.
  void remove(const AttemptKey& key);
  // No further attempt of the job.
  void halt(const link::Halt& order);
  // None of any job, while this spawner lives.
  void stand_still();
  // Those net should hear of by itself: alive, being settled, waiting for their next attempt, or
  // not yet acknowledged.
  std::vector<AttemptKey> unreported() const;
  // Nothing is being settled: every answer net waits for was posted.
  bool settled() const { return settling_.empty() && lookups_.empty() && retries_.empty(); }
  // A job may stop its supervisor, whose user is its own: that goes on at once, for limits and stop
  // are the supervisor's to keep. Called for SIGCHLD.
  void continue_stopped();
  bool any_alive() const { return !live_.empty(); }
  void stop_all(Millis grace);
  // Gives up what need not be kept, now and from then on: every few minutes, and when what is
  // reported passes the limit.
  void retire();

 private:
  struct Live {
    os::Child shim;
    os::EventLoop::Token token = 0;
    os::UniqueFd control;  // of a shim of ours
    os::UniqueFd plan;     // kept until the start is surely behind it
    os::EventLoop::Token plan_timer = 0;
    link::Meta meta;
    int tries = 1;
    bool adopted = false;      // not our child: nobody tells us when it is stopped
    bool was_stopped = false;  // which is logged once
    // A Start that came again before anything was started: should this shim turn out to have had no
    // order (its spawner died in between), this is what is begun.
    std::optional<std::pair<link::Start, std::string>> parked;
  };
  struct Settling {  // lost, and its processes are being killed
    StartedRecord started;
    std::optional<JobTree> tree;
    std::string reason;
    Nanos pause;
    os::EventLoop::Token timer = 0;
  };
  struct Lookup {
    link::Start start;
    std::string spec_bytes;
    JobSpec spec;
    std::unique_ptr<GetentLookup> getent;
  };

  // ---- attempts_start.cpp: starting ----
  void start_again(const link::Start& start, os::UniqueFd spec);
  void begin_with(const link::Start& start, os::UniqueFd spec);
  void begin(const link::Start& start, const std::string& spec_bytes);
  void begin_as(const link::Start& start, const std::string& spec_bytes, const JobSpec& spec,
                os::User user);
  void launch(const AttemptKey& key, os::UniqueFd plan, const link::Meta& meta, int tries);
  Result<void> hand_over(const AttemptKey& key, Live& live, int net);
  bool claim_prepared(const AttemptKey& key);
  os::UniqueFd claim(const AttemptKey& key);
  void refuse(const AttemptKey& key, const Error& error);
  void post_refusal(const AttemptKey& key, const Error& error);
  void keep_warm();
  void warm_later();

  // ---- attempts.cpp: what there is ----
  os::UniqueFd open_dir(const AttemptKey& key) const;
  void watch(const AttemptKey& key, Live live);
  void adopt(const AttemptKey& key, pid_t pid);
  void look_after_adopted();
  static void go_on(const AttemptKey& key, Live& live);
  void on_shim_exit(const AttemptKey& key);
  void restart(const AttemptKey& key);
  void retry_report(const AttemptKey& key);
  void refuse_later(const AttemptKey& key);
  void post_channel(const AttemptKey& key, int dir_fd);
  void post_finished(const AttemptKey& key, int dir_fd);
  std::vector<AttemptKey> list() const;

  // ---- attempts_kept.cpp: what is kept of those that have ended ----
  std::vector<Kept> reported_ones() const;
  static void note_left(int dir_fd);
  void note_kept(const AttemptKey& key, int dir_fd);
  void retire_soon();
  void give_up_when_due(const Kept& kept);
  bool give_up(const Going& going);
  void give_up_output(const Going& going, int dir_fd);

  // ---- attempts_restart.cpp: one after the other ----
  std::optional<NextAttempt> next_of(int dir_fd) const;
  std::uint64_t next_ms_of(const AttemptKey& key, int dir_fd) const;
  void follow(const AttemptKey& key);
  void start_next(const AttemptKey& key);
  void record_refusal(const AttemptKey& key, const Error& error);
  void end_by_stop(const AttemptKey& key, int dir_fd, const char* reason);
  std::optional<AttemptKey> newest_of(const JobId& job) const;

  // ---- attempts_lost.cpp: without a record ----
  void lose(const AttemptKey& key);
  void kill_left(const AttemptKey& key);
  void write_lost(const AttemptKey& key);

  os::EventLoop& loop_;
  os::UniqueFd jobs_;
  NodeDefaults defaults_;
  UserPolicy policy_;
  NodeCgroups cgroups_;
  Post post_;
  std::string boot_;
  std::optional<WarmShim> warm_;
  os::EventLoop::Token warm_timer_ = 0;
  os::EventLoop::Token look_timer_ = 0;  // while there are adopted ones
  std::map<AttemptKey, Live> live_;
  std::map<AttemptKey, Settling> settling_;
  std::map<AttemptKey, Lookup> lookups_;
  std::map<AttemptKey, os::EventLoop::Token> retries_;
  std::map<AttemptKey, os::EventLoop::Token> upcoming_;  // ended; the timer starts the next
  RetentionLimits limits_;
  std::uint64_t kept_bytes_ = 0;  // of what is reported: no less than there is
  os::EventLoop::Token retire_timer_ = 0;
  BootTime retired_;  // when it was last looked at
  bool retires_soon_ = false;
  std::map<AttemptKey, os::EventLoop::Token> read_;  // the timer gives up the output
  AttemptKey retrying_;  // whose timer is firing, and how often it may still
  int retries_left_ = 0;
};

}  // namespace rexec::job
