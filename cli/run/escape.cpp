#include "cli/run/escape.hpp"

namespace rexec::cli {

Escape::Wish Escape::feed(std::string& bytes) {
  constexpr char kSuspendKey = '\x1a';
  std::string kept;
  bool suspends = false;
  for (const char c : bytes) {
    if (left_) break;
    if (state_ == State::kTilde) {
      state_ = State::kMiddle;
      if (c == '.') {
        left_ = true;
        break;
      }
      if (c == kSuspendKey) {  // and the line begins anew
        suspends = true;
        state_ = State::kLineStart;
        continue;
      }
      kept += '~';  // held back until now
      if (c == '~') continue;
    } else if (state_ == State::kLineStart && c == '~') {
      state_ = State::kTilde;
      continue;
    }
    kept += c;
    state_ = c == '\r' || c == '\n' ? State::kLineStart : State::kMiddle;
  }
  bytes = std::move(kept);
  return left_ ? Wish::kLeave : suspends ? Wish::kSuspend : Wish::kNone;
}

}  // namespace rexec::cli
