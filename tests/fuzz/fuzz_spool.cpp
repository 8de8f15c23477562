// A spool segment with any content, as it is and with its checksums made right: no crash, no byte
// outside the buffer, offsets that only rise, and no more bytes than the limits say.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "src/base/check.hpp"
#include "src/job/spool/spool_format.hpp"

namespace {

using namespace rexec;
using namespace rexec::job;

void seal_all(std::vector<std::uint8_t>& bytes, std::uint32_t index) {
  std::size_t at = kSegmentHeader;
  while (at + kFrameHeader < bytes.size()) {
    bytes[at + 6] = 1 + bytes[at + 6] % 2;
    bytes[at + 7] = 0;
    const auto header = parse_frame(bytes.data() + at);
    if (!header || at + kFrameHeader + header->size > bytes.size()) return;
    seal_frame({bytes.data() + at, kFrameHeader + header->size}, header->channel, header->time_ms,
               index);
    at += kFrameHeader + header->size;
  }
}

void read_all(const std::vector<std::uint8_t>& bytes, std::uint64_t out, std::uint64_t err,
              std::size_t piece) {
  os::UniqueFd fd(::memfd_create("fuzz", MFD_CLOEXEC));
  check(::pwrite(fd.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  const auto info = read_segment_info(fd.get());
  if (!info) return;
  SpoolReader reader(out, err);
  reader.add_segment(*info, std::move(fd));
  reader.set_limits(1 << 20, 1 << 20, bytes.size());
  reader.finish();
  static SpoolBuffer buffer(2 * SpoolReader::kMinBuffer);
  std::uint64_t total = 0;
  for (int i = 0; i < 4096; ++i) {
    const SpoolItem item = reader.next(buffer, piece);
    if (const auto* chunk = std::get_if<Chunk>(&item)) {
      check(!chunk->data.empty() && chunk->data.size() <= piece, "a piece");
      check(chunk->data.data() >= buffer.bytes().data() + kFrameHeader, "headroom");
      check(
          chunk->data.data() + chunk->data.size() <= buffer.bytes().data() + buffer.bytes().size(),
          "inside");
      total += chunk->data.size();
      check(total <= bytes.size(), "no byte twice");
    } else if (!std::holds_alternative<Gap>(item)) {
      return;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4) return 0;
  const std::uint64_t out = data[0] * 64u, err = data[1] == 255 ? link::kNoReader : data[1];
  const std::size_t piece = 1 + data[2] * 300u;
  std::vector<std::uint8_t> raw(data + 4, data + size);
  read_all(raw, out, err, piece);
  // The same bytes as frames behind a good header.
  std::vector<std::uint8_t> segment(kSegmentHeader + raw.size());
  const auto header = segment_header({data[3], 0, 0, 0});
  std::copy(header.begin(), header.end(), segment.begin());
  std::copy(raw.begin(), raw.end(), segment.begin() + kSegmentHeader);
  read_all(segment, out, err, piece);
  seal_all(segment, data[3]);
  read_all(segment, out, err, piece);
  return 0;
}
