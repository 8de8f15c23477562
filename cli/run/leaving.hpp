// How a client ends before its job does, and what is said about it: by Ctrl-C, on leaving, as the
// status JSON's reason. Words only; follow.cpp drives, the follower says them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/run/signals.hpp"
#include "src/base/error.hpp"

namespace rexec::cli {

enum class Leaving {
  kNot,
  kChosen,     // Ctrl-\, Enter ~ .
  kSignal,     // HUP, TERM and the like ended the client
  kInterrupt,  // the third Ctrl-C, or one before there was a job
  kInput,      // stdin could not be read on
  kUnread,     // nobody reads the output any more, or it cannot be written
};

struct Departure {
  Leaving how = Leaving::kNot;
  int signal = 0;  // kSignal
};

// How far the client had come.
struct Reached {
  bool controller = false;
  bool acceptance = false;
};

// Whether the job ends with the client: not when a terminal was closed, whose user may come back.
bool ends_job(const Departure& departure, bool in_terminal);

// The error of a run whose client left: kLeft; before the job was accepted kOutcomeUnknown, and
// kInterrupted where no controller can know of it.
Error why_left(const Departure& departure, const Reached& reached);

// Of a standard input that cannot be read on.
Error unread_input(int error, bool is_own);

// What becomes of a job that is left. `rule` is its --on-disconnect, empty where it is not known;
// `way_back` a command.
enum class LastWord {
  kNone,   // the link is lost, or a terminal was closed
  kLeave,  // the job goes on, on purpose
  kEnded,  // the client's process ends, and the job with it
};
struct LeftJob {
  std::string rule;
  std::string way_back;
  LastWord last_word = LastWord::kNone;  // that the node hears
  bool has_ended = false;
};
std::string what_becomes_of_it(const LeftJob& job);

// The command that goes on where this reader was: `out` and `err` are the bytes that it has.
struct ReadSoFar {
  std::string job;
  std::uint64_t out = 0;
  std::uint64_t err = 0;
  bool in_terminal = false;
};
std::string way_back(const ReadSoFar& read);

// Of a standard input that these nodes do not take, while others have what came so far.
std::string waiting_input_words(const std::vector<std::string>& nodes);

// Of a link that is lost and tried again.
std::string lost_link_words(const std::string& why, bool goes_on);

// The jobs that have not ended, by what an INT does to them: only those that run get it, the others
// are stopped by it.
struct Unfinished {
  bool run = false;
  bool wait = false;   // not started yet
  bool pause = false;  // between two attempts
};
// What one Ctrl-C did, and what the next one does.
std::string interrupt_words(Reaction reaction, Unfinished jobs);
// Of signals that were sent on and reached nobody yet.
std::string unanswered_words(Deed deed, bool is_link_down);

}  // namespace rexec::cli
