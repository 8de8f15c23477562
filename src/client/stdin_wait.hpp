// Which of several jobs keep the standard input from the others: it is read on only as fast as the
// slowest of them takes it. Pure; run.* asks it after every step and tells what it says, once.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "src/base/clock.hpp"

namespace rexec::client {

// So long a node that is busy may take nothing before it is worth a word.
inline constexpr Millis kStdinStill{5'000};

class StdinWait {
 public:
  // What a job that is not over has taken of the standard input.
  struct Taken {
    std::size_t job = 0;
    std::uint64_t bytes = 0;
  };
  // `full`: no more is read before the slowest takes some.
  void look(std::span<const Taken> taken, bool full, BootTime now);
  // Until slowest() may have an answer; nullopt while it moves, or once it was told.
  std::optional<Millis> left(BootTime now) const;
  // The jobs that all others wait for; then told. Empty: none, or not long enough.
  std::vector<std::size_t> slowest(std::span<const Taken> taken, BootTime now);

 private:
  std::optional<BootTime> since_;
  std::uint64_t least_ = 0;
  bool told_ = false;
};

}  // namespace rexec::client
