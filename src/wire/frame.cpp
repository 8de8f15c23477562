#include "src/wire/frame.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "src/base/check.hpp"

namespace rexec::wire {
namespace {

constexpr std::size_t kDirectThreshold =
    4 << 10;  // below this a copy costs less than one more read call

void write_header(std::uint8_t* to, FrameType type, std::uint32_t stream, std::uint16_t flags,
                  std::size_t length) {
  store_be<std::uint16_t>(to, kMagic);
  store_be<std::uint16_t>(to + 2, kFrameVersion);
  store_be<std::uint16_t>(to + 4, static_cast<std::uint16_t>(type));
  store_be<std::uint32_t>(to + 6, static_cast<std::uint32_t>(length));
  store_be<std::uint32_t>(to + 10, stream);
  store_be<std::uint16_t>(to + 14, flags);
}

bool known(std::uint16_t type) {
  return type >= 1 && type <= static_cast<std::uint16_t>(FrameType::kReset);
}

// The largest payload a frame of this type may announce; fixed-size types must match exactly.
Result<void> check_length(std::uint16_t type, std::uint32_t length, std::uint32_t control_limit) {
  const auto refuse = [&](std::uint32_t limit) {
    return fail(Code::kLimit, "a frame of type " + std::to_string(type) + " announces " +
                                  std::to_string(length) + " bytes, the limit is " +
                                  std::to_string(limit));
  };
  switch (static_cast<FrameType>(type)) {
    case FrameType::kPing:
    case FrameType::kPong:
    case FrameType::kCredit:
      if (length != 8) return refuse(8);
      return {};
    case FrameType::kEnd:
      if (length != 0) return refuse(0);
      return {};
    case FrameType::kData: {
      const std::uint32_t limit =
          std::min(kMaxData, std::max(control_limit, kMaxControlBeforeLogin));
      if (length == 0) return fail(Code::kProtocol, "a DATA frame is empty");
      if (length > limit) return refuse(limit);
      return {};
    }
    default:
      if (known(type) && length == 0)
        return fail(Code::kProtocol, "a frame that needs a map is empty");
      if (length > control_limit) return refuse(control_limit);
      return {};
  }
}

}  // namespace

Frame::Frame(FrameType type, std::uint32_t stream, std::uint16_t flags, std::size_t payload_size)
    : bytes_(kHeaderSize + payload_size) {
  write_header(bytes_.data(), type, stream, flags, payload_size);
}

Frame Frame::adopt(FrameType type, std::uint32_t stream, std::uint16_t flags, Buffer whole) {
  check(whole.size() >= kHeaderSize, "room for the frame header");
  Frame frame;
  frame.bytes_ = std::move(whole);
  write_header(frame.bytes_.data(), type, stream, flags, frame.bytes_.size() - kHeaderSize);
  return frame;
}

Frame make_frame(FrameType type, std::uint32_t stream, ByteSpan payload, std::uint16_t flags) {
  Frame frame(type, stream, flags, payload.size());
  if (!payload.empty()) std::memcpy(frame.payload_room().data(), payload.data(), payload.size());
  return frame;
}

Result<void> FrameParser::begin_frame() {
  const std::uint8_t* h = header_.data();
  if (load_be<std::uint16_t>(h) != kMagic)
    return fail(Code::kProtocol, "a frame does not begin with the magic number");
  const auto version = load_be<std::uint16_t>(h + 2);
  if (version != kFrameVersion)
    return fail(Code::kProtocol,
                "a frame has version " + std::to_string(version) + ", which was not agreed on");
  const auto type = load_be<std::uint16_t>(h + 4);
  const auto length = load_be<std::uint32_t>(h + 6);
  skip_ = !known(type) && (type & kIgnorable) != 0;
  if (!known(type) && !skip_)
    return fail(Code::kProtocol, "unknown frame type " + std::to_string(type));
  auto ok = check_length(type, length, control_limit_);
  if (!ok) return ok;
  current_ = Frame(static_cast<FrameType>(type), load_be<std::uint32_t>(h + 10),
                   load_be<std::uint16_t>(h + 14), length);
  payload_filled_ = 0;
  in_payload_ = true;
  header_filled_ = 0;
  return {};
}

// The frame under way when its last byte is here and it is not one to be skipped.
std::optional<Frame> FrameParser::take_if_whole() {
  if (payload_filled_ < current_.payload().size()) return std::nullopt;
  in_payload_ = false;
  Frame whole = std::exchange(current_, Frame());
  if (skip_) return std::nullopt;
  return whole;
}

Result<std::optional<Frame>> FrameParser::next(ByteSpan& bytes) {
  if (failed_) return fail(Code::kProtocol, "the stream of frames is already broken");
  while (!bytes.empty()) {
    if (!in_payload_) {
      const std::size_t n = std::min(kHeaderSize - header_filled_, bytes.size());
      std::memcpy(header_.data() + header_filled_, bytes.data(), n);
      header_filled_ += n;
      bytes = bytes.subspan(n);
      if (header_filled_ < kHeaderSize) return std::nullopt;
      if (auto begun = begin_frame(); !begun) {
        failed_ = true;
        return std::unexpected(begun.error());
      }
    }
    const auto room = current_.payload_room().subspan(payload_filled_);
    const std::size_t n = std::min(room.size(), bytes.size());
    if (n > 0) std::memcpy(room.data(), bytes.data(), n);
    payload_filled_ += n;
    bytes = bytes.subspan(n);
    if (auto whole = take_if_whole()) return whole;
  }
  return std::nullopt;
}

MutableBytes FrameParser::direct_target() {
  if (!in_payload_ || failed_) return {};
  const auto room = current_.payload_room().subspan(payload_filled_);
  return room.size() >= kDirectThreshold ? room : MutableBytes{};
}

std::optional<Frame> FrameParser::direct_filled(std::size_t n) {
  check(in_payload_, "a payload under way");
  check(n <= current_.payload().size() - payload_filled_, "bytes within the payload");
  payload_filled_ += n;
  return take_if_whole();
}

}  // namespace rexec::wire
