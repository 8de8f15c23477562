#include "cli/run/signals.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <utility>

namespace rexec::cli {

Deed deed_of(int number, Visit visit) {
  const bool is_reader = visit == Visit::kReader;
  switch (number) {
    case SIGINT:
      return is_reader ? Deed::kDie : Deed::kLadder;
    case SIGQUIT:
      return is_reader ? Deed::kEnd : Deed::kLeave;
    case SIGHUP:
      return Deed::kEnd;
    case SIGTERM:
      return visit == Visit::kOwner ? Deed::kTerm : Deed::kEnd;
    default:
      return is_reader ? Deed::kEnd : Deed::kForward;
  }
}

bool has_terminal(bool sends_input) {
  if (sends_input) return ::isatty(STDIN_FILENO) == 1;
  const int terminal = ::open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
  if (terminal >= 0) ::close(terminal);
  return terminal >= 0;
}

Reaction InterruptLadder::press(BootTime now) {
  if (stopping_) return Reaction::kGo;
  const bool again = pressed_ && now - last_ <= kAgainWithin;
  pressed_ = true;
  last_ = now;
  stopping_ = again;
  return again ? Reaction::kStop : Reaction::kInterrupt;
}

void Unanswered::sent(BootTime now, Deed deed) {
  if (!std::exchange(waiting_, true)) first_ = now, terms_ = 0;
  if (deed == Deed::kTerm) ++terms_;
}

Unanswered::Verdict Unanswered::look(BootTime now, BootTime heard, bool is_link_down) {
  if (!waiting_) return Verdict::kNothing;
  if (!is_link_down && heard > first_) {
    waiting_ = false;
    return Verdict::kNothing;
  }
  if (!is_link_down && now - first_ < kAnswerWithin) return Verdict::kNothing;
  if (terms_ >= kMostTerms) return Verdict::kLeave;
  return std::exchange(told_, true) ? Verdict::kNothing : Verdict::kTell;
}

void die_of(int number) {
  std::signal(number, SIG_DFL);
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, number);
  ::sigprocmask(SIG_UNBLOCK, &only, nullptr);
  ::raise(number);
  ::_exit(128 + number);
}

}  // namespace rexec::cli
