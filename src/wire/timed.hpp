// Output together with the time at which the job wrote it (PROTOCOL.md, `times`): in place of the
// bare bytes the DATA of one channel is a row of pieces, `time u64 · length u32 · bytes`, which
// DATA frames may cut anywhere. Pure. Offsets, digests and whoever is shown the bytes know nothing
// of the headers; credit counts them as it counts all DATA.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "src/base/bytes.hpp"
#include "src/base/clock.hpp"

namespace rexec::wire {

inline constexpr std::size_t kTimedHeader = 12;

// Writes the header of a piece of `size` bytes.
void store_timed_header(std::uint8_t* to, std::uint64_t time_ms, std::size_t size);

// The pieces of one channel as they come. Whatever a peer sends, it is a row of pieces: a time
// beyond the year 9999 is shown as that year's end.
class TimedPieces {
 public:
  struct Part {
    ByteSpan bytes;  // within what was given to next()
    WallTime written;
  };
  // The next part of a piece, taken off the front of `bytes`; nothing when they are used up.
  std::optional<Part> next(ByteSpan& bytes);

 private:
  std::array<std::uint8_t, kTimedHeader> header_{};
  std::size_t filled_ = 0;  // of the header
  std::uint32_t left_ = 0;  // of the piece whose header is complete
  WallTime written_{};
};

}  // namespace rexec::wire
