// "Enter ~ ." typed on a raw terminal leaves the job running, as in ssh; "Enter ~ ~" sends one
// tilde. Pure: it sees every typed byte before it is sent and takes the sequences out.
#pragma once

#include <string>

namespace rexec::cli {

class Escape {
 public:
  // Erases what was for us; true once the user asked to leave. Bytes after that are dropped.
  bool feed(std::string& bytes);

 private:
  enum class State { kLineStart, kMiddle, kTilde };
  State state_ = State::kLineStart;
  bool left_ = false;
};

}  // namespace rexec::cli
