// What the controller forgets, and when: jobs that ended long ago, with their specs, tokens and
// certificates that are good for nothing. The audit log keeps all it was told. Started by
// server.cpp; the rules of what may go are the store's (prune_*). What takes too much of the disk
// goes earlier: ended_jobs.hpp.
#pragma once

#include "src/controller/state/hub.hpp"

namespace rexec::controller {

class Housekeeping {
 public:
  // A script that comes back with its key within this time finds its job, however short keep_jobs
  // is, or hears that it was removed.
  static constexpr Millis kKeepKeys = std::chrono::hours(7 * 24);

  // `keep_jobs`: how long a job is listed after its end.
  Housekeeping(Hub& hub, Millis keep_jobs);
  // Once soon, then every hour, or as often as jobs are kept when that is shorter.
  void start();

 private:
  void sweep();
  Hub& hub_;
  Millis keep_jobs_;
};

}  // namespace rexec::controller
