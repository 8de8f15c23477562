#include "cli/signals.hpp"

#include <unistd.h>

#include <csignal>

namespace rexec::cli {

Reaction InterruptLadder::press(BootTime now) {
  if (stopping_) return Reaction::kGo;
  const bool again = pressed_ && now - last_ <= kAgainWithin;
  pressed_ = true;
  last_ = now;
  stopping_ = again;
  return again ? Reaction::kStop : Reaction::kInterrupt;
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
