// The bytes of spool segments and frames (spool.hpp draws them), shared by writer, reader and
// recovery. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "src/base/bytes.hpp"
#include "src/job/spool/spool.hpp"

namespace rexec::job {

struct FrameHeader {
  std::uint32_t crc = 0;
  std::size_t size = 0;  // of the data, 1 … kMaxFrameData
  Channel channel = Channel::kOut;
  std::uint64_t time_ms = 0;
};

// Fills the kFrameHeader bytes in front of the data of a frame for segment `index`.
void seal_frame(MutableBytes frame, Channel channel, std::uint64_t time_ms, std::uint32_t index);
// nullopt for what no writer writes.
std::optional<FrameHeader> parse_frame(const std::uint8_t* bytes);
bool frame_intact(ByteSpan frame, std::uint32_t index);

std::array<std::uint8_t, kSegmentHeader> segment_header(const SegmentInfo& info);
std::optional<SegmentInfo> parse_segment_header(ByteSpan bytes);

}  // namespace rexec::job
