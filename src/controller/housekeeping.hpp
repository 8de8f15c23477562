// What the controller forgets, and when: jobs that ended long ago, with their specs, tokens and
// certificates that are good for nothing. The audit log keeps all it was told. Started by
// server.cpp; the rules of what may go are the store's (prune_*).
#pragma once

#include "src/controller/hub.hpp"

namespace rexec::controller {

class Housekeeping {
 public:
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
