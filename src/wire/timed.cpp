#include "src/wire/timed.hpp"

#include <algorithm>

namespace rexec::wire {
namespace {

// 9999-12-31T23:59:59.999Z: what every reader of a date can still read.
constexpr std::uint64_t kLatest = 253'402'300'799'999;

}  // namespace

void store_timed_header(std::uint8_t* to, std::uint64_t time_ms, std::size_t size) {
  store_be(to, time_ms);
  store_be(to + 8, static_cast<std::uint32_t>(size));
}

std::optional<TimedPieces::Part> TimedPieces::next(ByteSpan& bytes) {
  while (left_ == 0) {
    if (bytes.empty()) return std::nullopt;
    const std::size_t n = std::min(kTimedHeader - filled_, bytes.size());
    std::copy_n(bytes.begin(), n, header_.begin() + static_cast<std::ptrdiff_t>(filled_));
    bytes = bytes.subspan(n);
    filled_ += n;
    if (filled_ < kTimedHeader) return std::nullopt;
    filled_ = 0;
    const std::uint64_t time = std::min(load_be<std::uint64_t>(header_.data()), kLatest);
    written_ = WallTime(Millis(static_cast<std::int64_t>(time)));
    left_ = load_be<std::uint32_t>(header_.data() + 8);
  }
  if (bytes.empty()) return std::nullopt;
  const std::size_t n = std::min<std::size_t>(left_, bytes.size());
  const Part part{bytes.first(n), written_};
  bytes = bytes.subspan(n);
  left_ -= static_cast<std::uint32_t>(n);
  return part;
}

}  // namespace rexec::wire
