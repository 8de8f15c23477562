// Segment and frame headers. See spool_format.hpp.
#include "src/job/spool/spool_format.hpp"

#include <unistd.h>

#include <cstdio>

#include "src/job/spool/crc32c.hpp"

namespace rexec::job {
namespace {
constexpr std::uint64_t kMagic = 0x72657873706f6f6c;  // "rexspool"
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kCrcAt = kSegmentHeader - 4;
}  // namespace

void seal_frame(MutableBytes frame, Channel channel, std::uint64_t time_ms, std::uint32_t index) {
  std::uint8_t* p = frame.data();
  store_be(p + 4, static_cast<std::uint16_t>(frame.size() - kFrameHeader - 1));
  p[6] = static_cast<std::uint8_t>(channel);
  p[7] = 0;
  store_be(p + 8, time_ms);
  store_be(p, crc32c(frame.subspan(4), index));
}

std::optional<FrameHeader> parse_frame(const std::uint8_t* bytes) {
  const bool known = bytes[6] == static_cast<std::uint8_t>(Channel::kOut) ||
                     bytes[6] == static_cast<std::uint8_t>(Channel::kErr);
  if (!known || bytes[7] != 0) return std::nullopt;
  FrameHeader header;
  header.crc = load_be<std::uint32_t>(bytes);
  header.size = std::size_t{load_be<std::uint16_t>(bytes + 4)} + 1;
  header.channel = static_cast<Channel>(bytes[6]);
  header.time_ms = load_be<std::uint64_t>(bytes + 8);
  return header;
}

bool frame_intact(ByteSpan frame, std::uint32_t index) {
  return load_be<std::uint32_t>(frame.data()) == crc32c(frame.subspan(4), index);
}

std::array<std::uint8_t, kSegmentHeader> segment_header(const SegmentInfo& info) {
  std::array<std::uint8_t, kSegmentHeader> bytes{};
  store_be(bytes.data(), kMagic);
  store_be(bytes.data() + 8, kVersion);
  store_be(bytes.data() + 12, info.index);
  store_be(bytes.data() + 16, info.out_base);
  store_be(bytes.data() + 24, info.err_base);
  store_be(bytes.data() + 32, info.seq_base);
  store_be(bytes.data() + kCrcAt, crc32c(ByteSpan(bytes).first(kCrcAt)));
  return bytes;
}

std::optional<SegmentInfo> parse_segment_header(ByteSpan bytes) {
  if (bytes.size() < kSegmentHeader) return std::nullopt;
  const std::uint8_t* p = bytes.data();
  if (load_be<std::uint64_t>(p) != kMagic || load_be<std::uint32_t>(p + 8) != kVersion)
    return std::nullopt;
  if (load_be<std::uint32_t>(p + kCrcAt) != crc32c(bytes.first(kCrcAt))) return std::nullopt;
  return SegmentInfo{load_be<std::uint32_t>(p + 12), load_be<std::uint64_t>(p + 16),
                     load_be<std::uint64_t>(p + 24), load_be<std::uint64_t>(p + 32)};
}

Result<SegmentInfo> read_segment_info(int fd) {
  std::array<std::uint8_t, kSegmentHeader> bytes;
  const ssize_t n = ::pread(fd, bytes.data(), bytes.size(), 0);
  const auto info = parse_segment_header(ByteSpan(bytes).first(n > 0 ? std::size_t(n) : 0));
  if (!info) return fail(Code::kIncomplete, "a spool segment's header is damaged");
  return *info;
}

std::string segment_name(std::uint32_t index) {
  char name[24];
  std::snprintf(name, sizeof(name), "out.%06u", index);
  return name;
}

}  // namespace rexec::job
