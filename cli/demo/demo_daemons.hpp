// The child processes of a demo: daemons that say on a pipe when they are ready, and one command in
// the foreground. All signals that end a demo are taken here as events, so nothing is ever left
// half done; at the end every descendant is gone.
#pragma once

#include <string>
#include <vector>

#include "src/base/clock.hpp"
#include "src/os/process.hpp"

namespace rexec::cli {

class DemoDaemons {
 public:
  // Blocks INT, TERM and HUP for this process and becomes the reaper of its descendants.
  DemoDaemons();
  ~DemoDaemons() { stop_all(); }
  DemoDaemons(const DemoDaemons&) = delete;
  DemoDaemons& operator=(const DemoDaemons&) = delete;

  // `rexec WORDS… --ready-fd 3`, its words to the file `log`.
  Result<void> start(const std::string& name, std::vector<std::string> words,
                     const std::string& log);
  // Until all that were started are ready: kTimeout, kInternal with the last words of the one that
  // ended, or kLinkLost when the user interrupts.
  Result<void> wait_ready(Millis limit);
  // Until the user ends the demo (nothing) or a daemon ends by itself (an error).
  Result<void> wait_end();
  // `sh -c COMMAND` on this terminal; its exit status, 128+n for a signal.
  Result<int> run_command(const std::string& command);
  // TERM in reverse order of the start, KILL after 5 s, then every other descendant.
  void stop_all();

 private:
  struct Daemon {
    std::string name;
    std::string log;
    os::Child child;
    os::UniqueFd ready;  // until it said so
  };
  Result<void> died(const Daemon& daemon) const;
  Result<void> read_ready(Daemon& daemon);
  int take_signal();
  os::UniqueFd signals_;
  std::vector<Daemon> daemons_;
};

}  // namespace rexec::cli
