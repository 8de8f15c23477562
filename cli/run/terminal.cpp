#include "cli/run/terminal.hpp"

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "src/os/terminal_modes.hpp"

namespace rexec::cli {
namespace {

termios g_found;                  // as the user had it; valid while g_raw is set
std::atomic<bool> g_raw = false;  // lock-free, read by the signal handler

bool is_in_background() {
  const pid_t group = ::tcgetpgrp(STDIN_FILENO);
  return group >= 0 && group != ::getpgrp();
}

// SIGCONT interrupts whoever was stopped in it.
void set_modes(const termios& modes) {
  while (::tcsetattr(STDIN_FILENO, TCSADRAIN, &modes) != 0 && errno == EINTR) {
  }
}

// The signals that end a process with a core: restore, then let them do that.
constexpr int kFatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS};

void on_fatal(int number) {
  RawTerminal::restore();
  std::signal(number, SIG_DFL);
  ::raise(number);
}

}  // namespace

RawTerminal::RawTerminal() {
  wait_for_foreground();
  if (::isatty(STDIN_FILENO) != 1 || ::tcgetattr(STDIN_FILENO, &g_found) != 0) return;
  static const bool once = [] {
    std::atexit(RawTerminal::restore);
    for (const int number : kFatal) std::signal(number, on_fatal);
    return true;
  }();
  static_cast<void>(once);
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
  set_modes(raw);
}

void RawTerminal::restore() {
  // Who has the terminal by now has set it for himself; from the background it is not ours.
  if (g_raw.exchange(false) && !is_in_background()) set_modes(g_found);
}

// Waiting for the output to be written changes nothing, but is a change for the job control.
void wait_for_foreground() {
  if (::isatty(STDIN_FILENO) != 1) return;
  while (is_in_background() && ::tcdrain(STDIN_FILENO) != 0 && errno == EINTR) {
  }
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

std::string terminal_modes() {
  wait_for_foreground();
  termios modes{};
  if (::isatty(STDIN_FILENO) != 1 || ::tcgetattr(STDIN_FILENO, &modes) != 0) return {};
  return os::encode_terminal_modes(modes);
}

}  // namespace rexec::cli
