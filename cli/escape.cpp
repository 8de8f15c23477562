#include "cli/escape.hpp"

namespace rexec::cli {

bool Escape::feed(std::string& bytes) {
  std::string kept;
  for (const char c : bytes) {
    if (left_) break;
    if (state_ == State::kTilde) {
      state_ = State::kMiddle;
      if (c == '.') {
        left_ = true;
        break;
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
  return left_;
}

}  // namespace rexec::cli
