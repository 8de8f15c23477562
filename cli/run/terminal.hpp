// The user's terminal: its size and modes, raw mode for -t, and the promise that it is restored on
// every way out (return, exception, exit, a fatal signal, suspension). One per process, because a
// signal handler must find it. It changes no descriptor flags; client::Sink and Source open their
// own. A process in the background of a shell is stopped by TTOU before it touches anything.
#pragma once

#include <optional>

#include "src/job/spec/spec.hpp"

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

// Returns once this process may change the terminal on stdin; a shell stops it until then. At once
// when stdin is no terminal, or the shell that could bring it to the foreground is gone.
void wait_for_foreground();
// Rows, columns and TERM of the terminal on stdin, stdout or stderr; nothing when there is none.
std::optional<job::TtySpec> terminal_size();
// The modes of the terminal on stdin for a job's, as TtySpec has them; empty when it is none. In
// the background they would be those of the shell's line editor.
std::string terminal_modes();

}  // namespace rexec::cli
