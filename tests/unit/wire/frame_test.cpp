// Frames: what is announced is checked before it is believed.
#include "src/wire/frame.hpp"

#include <doctest/doctest.h>

#include "tests/unit/wire/harness.hpp"

using namespace rexec;
using namespace rexec::wire;
using namespace rexec::wire::test;

namespace {

struct Header {
  std::uint16_t magic = kMagic;
  std::uint16_t version = 1;
  std::uint16_t type = 5;
  std::uint32_t length = 0;
  std::uint32_t stream = 0;
  std::uint16_t flags = 0;
  std::string bytes() const {
    std::string out(kHeaderSize, '\0');
    auto* to = reinterpret_cast<std::uint8_t*>(out.data());
    store_be(to, magic);
    store_be(to + 2, version);
    store_be(to + 4, type);
    store_be(to + 6, length);
    store_be(to + 10, stream);
    store_be(to + 14, flags);
    return out;
  }
};

// What a fresh parser says to these bytes: "frame", "more" or the error's code and message.
std::string verdict(std::string_view text, std::uint32_t limit = kMaxControl) {
  FrameParser parser(limit);
  ByteSpan bytes = as_bytes(text);
  const auto frame = parser.next(bytes);
  if (!frame) return std::string(code_name(frame.error().code)) + ": " + frame.error().message;
  return frame->has_value() ? "frame" : "more";
}

std::string header_verdict(std::uint16_t type, std::uint32_t length,
                           std::uint32_t limit = kMaxControl) {
  Header header;
  header.type = type;
  header.length = length;
  return verdict(header.bytes(), limit);
}

}  // namespace

TEST_CASE("frame: a frame of length 0 is refused unless its type has no payload") {  // FAULTS W5
  for (std::uint16_t type = 1; type <= 14; ++type) {
    const std::string said = header_verdict(type, 0);
    INFO(type);
    if (type == static_cast<std::uint16_t>(FrameType::kEnd)) {
      CHECK(said == "frame");
    } else {
      CHECK((said.starts_with("protocol: ") || said.starts_with("limit: ")));
    }
  }
}

TEST_CASE("frame: a length beyond the type's limit is refused at the header") {  // FAULTS W6
  for (const std::uint32_t length : {0x7FFFFFFFU, 0xFFFFFFFFU, kMaxControl + 1}) {
    for (std::uint16_t type = 1; type <= 14; ++type) {
      INFO(type << " " << length);
      CHECK(header_verdict(type, length).starts_with("limit: "));
    }
    CHECK(header_verdict(kIgnorable | 77, length).starts_with("limit: "));
  }
  CHECK(header_verdict(5, 4097, kMaxControlBeforeLogin).starts_with("limit: "));
  CHECK(header_verdict(5, 4096, kMaxControlBeforeLogin) == "more");
  CHECK(header_verdict(5, kMaxControl) == "more");
}

TEST_CASE("frame: DATA is limited to 64 KiB, and to 4 KiB before the login") {
  CHECK(header_verdict(9, kMaxData) == "more");
  CHECK(header_verdict(9, kMaxData + 1).starts_with("limit: "));
  CHECK(header_verdict(9, 4096, kMaxControlBeforeLogin) == "more");
  CHECK(header_verdict(9, 4097, kMaxControlBeforeLogin).starts_with("limit: "));
}

TEST_CASE("frame: PING, PONG, CREDIT and END have one size each") {
  for (const std::uint16_t type : {3, 4, 12}) {
    CHECK(header_verdict(type, 8) == "more");
    CHECK(header_verdict(type, 7).starts_with("limit: "));
    CHECK(header_verdict(type, 9).starts_with("limit: "));
  }
  CHECK(header_verdict(13, 1).starts_with("limit: "));
}

TEST_CASE("frame: a stream that ends one byte short gives nothing") {  // FAULTS W7
  const std::string whole = raw_map(FrameType::kRequest, 0, Map{{"id", 1}, {"verb", "whoami"}});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK(verdict(std::string_view(whole).substr(0, size)) == "more");
  }
  CHECK(verdict(whole) == "frame");
}

TEST_CASE("frame: an unknown type is skipped when it is marked ignorable, refused when it is not") {
  // FAULTS W8
  for (const int type : {0, 15, 16, 999, 0x7FFF}) {
    CHECK(header_verdict(static_cast<std::uint16_t>(type), 4).starts_with("protocol: unknown"));
  }
  Header unknown;
  unknown.type = kIgnorable | 9;  // the bit makes DATA another type, not DATA
  unknown.length = 3;
  const std::string bytes = unknown.bytes() + "abc" + raw(FrameType::kEnd, 7, "");
  FrameParser parser(kMaxControl);
  ByteSpan rest = as_bytes(bytes);
  const auto frame = parser.next(rest);
  REQUIRE(frame.has_value());
  REQUIRE(frame->has_value());
  CHECK((*frame)->type() == FrameType::kEnd);
  CHECK((*frame)->stream() == 7);
  CHECK(rest.empty());
}

TEST_CASE("frame: an empty ignorable frame is skipped too") {
  Header unknown;
  unknown.type = kIgnorable | 1;
  CHECK(verdict(unknown.bytes()) == "more");
  CHECK(verdict(unknown.bytes() + raw(FrameType::kEnd, 7, "")) == "frame");
}

TEST_CASE("frame: another magic number and version 0 are refused") {
  Header header;
  header.length = 8;
  header.magic = 0x5A5A;
  CHECK(verdict(header.bytes()).starts_with("protocol: a frame does not begin"));
  header.magic = kMagic;
  header.version = 0;
  CHECK(verdict(header.bytes()).starts_with("protocol: a frame has version 0"));
  CHECK(verdict("GET / HTTP/1.1\r\n\r\n").starts_with("protocol: "));
}

TEST_CASE("frame: after an error nothing more is read") {
  FrameParser parser(kMaxControl);
  ByteSpan bad = as_bytes("this is no frame of ours");
  CHECK_FALSE(parser.next(bad).has_value());
  const std::string good = raw(FrameType::kEnd, 7, "");
  ByteSpan rest = as_bytes(good);
  CHECK_FALSE(parser.next(rest).has_value());
  CHECK(parser.direct_target().empty());
}

TEST_CASE("frame: the fields are where the protocol page says") {
  const Frame frame = make_frame(FrameType::kData, 0x01020304, as_bytes("xyz"), 2);
  CHECK(to_hex(frame.bytes()) ==
        "a5a5"
        "0001"
        "0009"
        "00000003"
        "01020304"
        "0002"
        "78797a");
  CHECK(frame.flags() == 2);
  CHECK(as_text(frame.payload()) == "xyz");
}

TEST_CASE("frame: a relay renames the stream and leaves the rest as it came") {
  Frame frame = make_frame(FrameType::kData, 5, as_bytes("xyz"), 1);
  frame.set_stream(8);
  const std::string expected = raw(FrameType::kData, 8, "xyz", 1);
  CHECK(as_text(frame.bytes()) == expected);
}

TEST_CASE("frame: a large payload can be read straight into its place") {
  const std::string payload(20'000, 'p');
  const std::string bytes = raw(FrameType::kData, 3, payload, 1) + raw(FrameType::kEnd, 3, "");
  FrameParser parser(kMaxControl);
  ByteSpan head = as_bytes(std::string_view(bytes).substr(0, kHeaderSize + 100));
  CHECK(parser.direct_target().empty());
  CHECK_FALSE(parser.next(head)->has_value());
  std::size_t at = kHeaderSize + 100;
  std::optional<Frame> frame;
  // The last stretch is below the threshold where a copy is cheaper.
  while (!parser.direct_target().empty()) {
    const MutableBytes to = parser.direct_target().first(1000);
    std::memcpy(to.data(), bytes.data() + at, to.size());
    CHECK_FALSE(parser.direct_filled(to.size()).has_value());
    at += to.size();
  }
  CHECK(at > kHeaderSize + 100);
  ByteSpan rest = as_bytes(std::string_view(bytes).substr(at));
  auto whole = parser.next(rest);
  REQUIRE(whole->has_value());
  CHECK(as_text((*whole)->payload()) == payload);
  CHECK_FALSE(parser.at_boundary() == false);
  whole = parser.next(rest);
  CHECK((*whole)->type() == FrameType::kEnd);
}

TEST_CASE("frame: a payload filled to its end in place is the frame") {
  const std::string payload(8'192, 'p');
  const std::string bytes = raw(FrameType::kData, 3, payload, 1);
  FrameParser parser(kMaxControl);
  ByteSpan head = as_bytes(std::string_view(bytes).substr(0, kHeaderSize));
  CHECK_FALSE(parser.next(head)->has_value());
  const MutableBytes to = parser.direct_target();
  REQUIRE(to.size() == payload.size());
  std::memcpy(to.data(), payload.data(), payload.size());
  const auto frame = parser.direct_filled(to.size());
  REQUIRE(frame.has_value());
  CHECK(as_text(frame->bytes()) == bytes);
  CHECK(parser.at_boundary());
}
