// The frame parser on a stranger's bytes: no crash, nothing larger than the limit, and the same
// frames whether the bytes come at once, one by one, or partly straight into the payload.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "src/base/check.hpp"
#include "src/wire/frame.hpp"

namespace {

using namespace rexec;
using namespace rexec::wire;

struct Outcome {
  std::vector<std::string> frames;
  std::string error;
  bool operator==(const Outcome&) const = default;
};

void keep(Outcome& outcome, const Frame& frame) {
  check(frame.payload().size() <= kMaxControl, "no payload beyond the limit");
  outcome.frames.emplace_back(as_text(frame.bytes()));
}

Outcome parse(ByteSpan bytes, std::uint32_t limit, std::size_t piece) {
  Outcome outcome;
  FrameParser parser(limit);
  while (!bytes.empty()) {
    const MutableBytes direct = parser.direct_target();
    if (!direct.empty() && piece % 3 == 0) {
      const std::size_t n = std::min(std::min(direct.size(), bytes.size()), piece);
      std::memcpy(direct.data(), bytes.data(), n);
      if (const auto frame = parser.direct_filled(n)) keep(outcome, *frame);
      bytes = bytes.subspan(n);
      continue;
    }
    ByteSpan now = bytes.first(std::min(piece, bytes.size()));
    bytes = bytes.subspan(now.size());
    while (true) {
      const auto frame = parser.next(now);
      if (!frame) {
        outcome.error = frame.error().message;
        return outcome;
      }
      if (!*frame) break;
      keep(outcome, **frame);
    }
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::uint32_t limit = data[0] % 2 == 0 ? kMaxControl : kMaxControlBeforeLogin;
  const ByteSpan bytes(data + 1, size - 1);
  const Outcome whole = parse(bytes, limit, size);
  check(parse(bytes, limit, 1) == whole, "one by one");
  check(parse(bytes, limit, 1 + data[0]) == whole, "in pieces");
  check(parse(bytes, limit, 3 * (1 + data[0])) == whole,
        "in pieces, some straight into the payload");
  return 0;
}
