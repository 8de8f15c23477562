// One frame of rexec/1: its 16-byte header, the limits, and a parser that is fed bytes in any
// pieces. It knows nothing of sessions or of what a payload means; session.* decides that. A
// payload is never allocated before its length was checked. Source of the format: PROTOCOL.md,
// "Frames".
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "src/base/bytes.hpp"
#include "src/base/error.hpp"

namespace rexec::wire {

inline constexpr std::uint16_t kMagic = 0xA5A5;
inline constexpr std::uint16_t kFrameVersion = 1;  // the only one there is
inline constexpr std::size_t kHeaderSize = 16;
inline constexpr std::uint32_t kMaxData = 64 << 10;
inline constexpr std::uint32_t kMaxControl = 256 << 10;
inline constexpr std::uint32_t kMaxControlBeforeLogin = 4 << 10;
// Type bit: a receiver that does not know the type may skip the frame.
inline constexpr std::uint16_t kIgnorable = 0x8000;

enum class FrameType : std::uint16_t {
  kHello = 1,
  kClose,
  kPing,
  kPong,
  kRequest,
  kResponse,
  kNotice,
  kOpen,
  kData,
  kEvent,
  kSignal,
  kCredit,
  kEnd,
  kReset,
};

enum class Channel : std::uint16_t { kIn = 0, kOut = 1, kErr = 2, kSpec = 3 };

// Header and payload in one piece of memory, so that a relay rewrites the stream number in place
// and sends the same bytes on
class Frame {
 public:
  Frame() = default;
  Frame(FrameType type, std::uint32_t stream, std::uint16_t flags, std::size_t payload_size);
  // Takes `whole`, whose first 16 bytes are free for the header and whose rest is the payload.
  static Frame adopt(FrameType type, std::uint32_t stream, std::uint16_t flags, Buffer whole);
  FrameType type() const {
    return static_cast<FrameType>(load_be<std::uint16_t>(bytes_.data() + 4));
  }
  std::uint32_t stream() const { return load_be<std::uint32_t>(bytes_.data() + 10); }
  std::uint16_t flags() const { return load_be<std::uint16_t>(bytes_.data() + 14); }
  ByteSpan payload() const { return {bytes_.data() + kHeaderSize, bytes_.size() - kHeaderSize}; }
  MutableBytes payload_room() { return {bytes_.data() + kHeaderSize, bytes_.size() - kHeaderSize}; }
  void set_stream(std::uint32_t stream) { store_be(bytes_.data() + 10, stream); }
  const Buffer& bytes() const { return bytes_; }
  Buffer release() && { return std::move(bytes_); }

 private:
  friend class FrameParser;
  Buffer bytes_;
};

Frame make_frame(FrameType type, std::uint32_t stream, ByteSpan payload, std::uint16_t flags = 0);

// Cuts a byte stream into frames, one at a time, so that what one frame changes (the limit, after
// HELLO) already holds for the next. After an error the parser stays failed: the connection is to
// be closed.
class FrameParser {
 public:
  // Maps longer than `limit` are refused from the next header on; DATA, PING and CREDIT have limits
  // of their own.
  explicit FrameParser(std::uint32_t control_limit) : control_limit_(control_limit) {}
  void set_control_limit(std::uint32_t limit) { control_limit_ = limit; }

  // Takes from the front of `bytes` what belongs to the next frame. Nothing when they are used up
  // before its end; kProtocol or kLimit with the offending field.
  Result<std::optional<Frame>> next(ByteSpan& bytes);

  // A large payload that is under way: the reader may put the next bytes right there and say how
  // many came. Empty when next() is to be used.
  MutableBytes direct_target();
  std::optional<Frame> direct_filled(std::size_t n);
  // True between frames: the connection may end here without having torn one.
  bool at_boundary() const { return header_filled_ == 0 && !in_payload_; }

 private:
  Result<void> begin_frame();
  std::optional<Frame> take_if_whole();

  std::uint32_t control_limit_;
  std::array<std::uint8_t, kHeaderSize> header_{};
  std::size_t header_filled_ = 0;
  bool in_payload_ = false;
  bool failed_ = false;
  bool skip_ = false;
  std::size_t payload_filled_ = 0;
  Frame current_;
};

}  // namespace rexec::wire
