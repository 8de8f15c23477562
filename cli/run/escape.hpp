// "Enter ~ ." typed on a raw terminal leaves the job running, "Enter ~ Ctrl-Z" suspends the client,
// as in ssh; "Enter ~ ~" sends one tilde. Pure: it sees every typed byte before it is sent and
// takes the sequences out.
#pragma once

#include <string>

namespace rexec::cli {

class Escape {
 public:
  enum class Wish { kNone, kSuspend, kLeave };
  // Erases what was for us; kLeave from then on, and what follows it is dropped.
  Wish feed(std::string& bytes);

 private:
  enum class State { kLineStart, kMiddle, kTilde };
  State state_ = State::kLineStart;
  bool left_ = false;
};

}  // namespace rexec::cli
