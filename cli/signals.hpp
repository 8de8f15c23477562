// What the client's signals mean for a run: the Ctrl-C ladder as a pure machine, and dying of a
// signal so that the caller's shell sees it. Who delivers them is follow.cpp's signal_set.
#pragma once

#include "src/base/clock.hpp"

namespace rexec::cli {

enum class Reaction {
  kInterrupt,  // INT to the job
  kStop,       // TERM, grace, KILL to the whole tree
  kGo,         // leave at once; a stop that was asked for goes on
};

// Ctrl-C once, again within 2 s, a third time.
class InterruptLadder {
 public:
  static constexpr Millis kAgainWithin{2'000};
  Reaction press(BootTime now);
  bool was_pressed() const { return pressed_; }

 private:
  bool pressed_ = false;
  bool stopping_ = false;
  BootTime last_{};
};

// Ends this process by that signal's default action, without a core. Does not return.
[[noreturn]] void die_of(int number);

}  // namespace rexec::cli
