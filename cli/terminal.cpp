#include "cli/terminal.hpp"

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>

namespace rexec::cli {
namespace {

termios g_found;                  // as the user had it; valid while g_raw is set
std::atomic<bool> g_raw = false;  // lock-free, read by the signal handler

// The signals that end a process with a core: restore, then let them do that.
constexpr int kFatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS};

void on_fatal(int number) {
  RawTerminal::restore();
  std::signal(number, SIG_DFL);
  ::raise(number);
}

}  // namespace

RawTerminal::RawTerminal() {
  if (::isatty(STDIN_FILENO) != 1 || ::tcgetattr(STDIN_FILENO, &g_found) != 0) return;
  static const bool once = [] {
    std::atexit(RawTerminal::restore);
    for (const int number : kFatal) std::signal(number, on_fatal);
    return true;
  }();
  static_cast<void>(once);
  // Restoring from the background would stop the process instead.
  std::signal(SIGTTOU, SIG_IGN);
  enter();
}

bool RawTerminal::is_raw() const { return g_raw; }

void RawTerminal::enter() {
  if (::isatty(STDIN_FILENO) != 1) return;
  termios raw = g_found;
  ::cfmakeraw(&raw);
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  g_raw = true;
  ::tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
}

void RawTerminal::restore() {
  if (g_raw.exchange(false)) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &g_found);
}

std::optional<job::TtySpec> terminal_size() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    winsize size{};
    if (::ioctl(fd, TIOCGWINSZ, &size) != 0) continue;
    job::TtySpec tty;
    if (size.ws_row > 0) tty.rows = size.ws_row;
    if (size.ws_col > 0) tty.cols = size.ws_col;
    const char* term = std::getenv("TERM");
    if (term != nullptr && *term != '\0') tty.term = term;
    return tty;
  }
  return std::nullopt;
}

const char* terminal_reset_sequence() {
  return "\x1b[?1049l\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1l\x1b>"
         "\x1b[0m\r\n";
}

}  // namespace rexec::cli
