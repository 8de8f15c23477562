// The frame parser gives the same frames however the bytes are cut.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "tests/unit/wire/harness.hpp"

using namespace rexec;
using namespace rexec::wire;
using namespace rexec::wire::test;

namespace {

std::string random_frame() {
  const auto type = static_cast<FrameType>(*rc::gen::inRange(1, 15));
  const auto stream = *rc::gen::arbitrary<std::uint32_t>();
  std::size_t size = *rc::gen::weightedOneOf<std::size_t>(
      {{8, rc::gen::inRange<std::size_t>(1, 200)}, {1, rc::gen::inRange<std::size_t>(1, 65'537)}});
  if (type == FrameType::kPing || type == FrameType::kPong || type == FrameType::kCredit) size = 8;
  if (type == FrameType::kEnd) size = 0;
  return raw(type, stream, std::string(size, static_cast<char>(*rc::gen::inRange(0, 256))));
}

// Feeds `bytes` in random pieces, large payloads now and then straight into their place.
Result<std::vector<std::string>> parse_in_pieces(std::string_view bytes) {
  FrameParser parser(kMaxControl);
  std::vector<std::string> out;
  const auto keep = [&](std::optional<Frame> frame) {
    if (frame) out.emplace_back(as_text(frame->bytes()));
  };
  while (!bytes.empty()) {
    const auto most = *rc::gen::element<std::size_t>(1, 7, 40, 5'000, 100'000);
    const MutableBytes direct = parser.direct_target();
    const std::size_t n = std::min({most, bytes.size(), direct.empty() ? most : direct.size()});
    if (!direct.empty() && *rc::gen::arbitrary<bool>()) {
      std::memcpy(direct.data(), bytes.data(), n);
      keep(parser.direct_filled(n));
      bytes.remove_prefix(n);
      continue;
    }
    ByteSpan piece = as_bytes(bytes.substr(0, n));
    bytes.remove_prefix(n);
    while (true) {
      auto frame = parser.next(piece);
      if (!frame) return std::unexpected(frame.error());
      if (!*frame) break;
      keep(std::move(*frame));
    }
  }
  RC_ASSERT(parser.at_boundary());
  return out;
}

}  // namespace

TEST_CASE("frame: any split of the bytes gives the same frames") {
  CHECK(rc::check([] {
    std::vector<std::string> frames;
    std::string bytes;
    const int count = *rc::gen::inRange(1, 12);
    for (int i = 0; i < count; ++i) bytes += frames.emplace_back(random_frame());
    const auto parsed = parse_in_pieces(bytes);
    RC_ASSERT(parsed.has_value());
    RC_ASSERT(*parsed == frames);
  }));
}

TEST_CASE("frame: bytes of any kind give frames, an error, or a wait for more") {
  CHECK(rc::check([](const std::string& tail) {
    std::string bytes = random_frame() + tail;
    const auto at = *rc::gen::inRange<std::size_t>(0, std::min<std::size_t>(bytes.size(), 40));
    bytes[at] = static_cast<char>(*rc::gen::inRange(0, 256));
    FrameParser parser(kMaxControl);
    ByteSpan rest = as_bytes(bytes);
    while (true) {
      const auto frame = parser.next(rest);
      if (!frame || !*frame) break;
      RC_ASSERT((*frame)->payload().size() <= kMaxControl);
    }
  }));
}
