// What the client's signals mean for a run, as pure decisions: what becomes of each, the Ctrl-C
// ladder, TERMs that nobody answers; and dying of a signal so that the caller's shell sees it. Who
// delivers them is follow.cpp's signal_set.
#pragma once

#include "src/base/clock.hpp"

namespace rexec::cli {

// What the job is to this client. A visitor's end, however it comes, never ends the job.
enum class Visit {
  kOwner,     // run, shell: it is this client's own
  kAttached,  // attach: keys, Ctrl-C and USR1 reach the job
  kReader,    // logs: nothing reaches it
};

enum class Deed {
  kLadder,   // Ctrl-C: the InterruptLadder
  kForward,  // to the job
  kTerm,     // to the job, and a third one leaves where nobody answers
  kLeave,    // the job goes on, on purpose
  kEnd,      // of this client; what becomes of its job: ends_job in leaving.hpp
  kDie,      // the same, by that signal
};
// Of INT, QUIT, TERM, HUP, USR1 and USR2.
Deed deed_of(int number, Visit visit);

// Whether a HUP is a closed terminal: a client that sends its input on reads from one, any other
// has one. Asked at the start; a terminal that was closed is none any more.
bool has_terminal(bool sends_input);

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

// Signals that were sent on to the job and from whose way nothing was heard since.
class Unanswered {
 public:
  // What a controller at the other end of the world needs, and a person notices.
  static constexpr Millis kAnswerWithin{500};
  static constexpr int kMostTerms = 3;
  enum class Verdict { kNothing, kTell, kLeave };

  void sent(BootTime now, Deed deed);
  // `heard`: when the last byte of the controller came. kTell is given once.
  Verdict look(BootTime now, BootTime heard, bool is_link_down);
  bool is_waiting() const { return waiting_; }

 private:
  bool waiting_ = false;
  bool told_ = false;
  int terms_ = 0;
  BootTime first_{};
};

// Ends this process by that signal's default action, without a core. Does not return.
[[noreturn]] void die_of(int number);

}  // namespace rexec::cli
