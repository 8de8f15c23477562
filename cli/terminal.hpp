// The user's terminal: its size, raw mode for -t, and the promise that it is restored on every way
// out (return, exception, exit, a fatal signal). One per process, because a signal handler must
// find it. It changes no descriptor flags; client::Sink and Source open their own.
#pragma once

#include <optional>

#include "src/job/spec.hpp"

namespace rexec::cli {

// Raw while it lives, when stdin is a terminal; otherwise it does nothing.
class RawTerminal {
 public:
  RawTerminal();
  ~RawTerminal() { restore(); }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;
  bool is_raw() const;
  // Again raw, after the process was stopped and continued.
  void enter();
  // As it was found. Safe in a signal handler, and to be called twice.
  static void restore();
};

// Rows, columns and TERM of the terminal on stdin, stdout or stderr; nothing when there is none.
std::optional<job::TtySpec> terminal_size();
// Takes the terminal out of what a full-screen program may have left on when it was not asked to
// end: alternate screen, hidden cursor, mouse and paste modes, colours.
const char* terminal_reset_sequence();

}  // namespace rexec::cli
