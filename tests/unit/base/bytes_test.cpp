// Buffers, big-endian integers, hex and base32.
#include "src/base/bytes.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace rexec;

TEST_CASE("bytes: big-endian integers store and load, also unaligned") {
  std::uint8_t memory[16] = {};
  store_be<std::uint32_t>(memory + 1, 0x01020304);
  CHECK(memory[1] == 1);
  CHECK(memory[4] == 4);
  CHECK(load_be<std::uint32_t>(memory + 1) == 0x01020304);
  store_be<std::uint64_t>(memory + 3, 0xFFEEDDCCBBAA9988);
  CHECK(load_be<std::uint64_t>(memory + 3) == 0xFFEEDDCCBBAA9988);
  store_be<std::uint8_t>(memory, 200);
  CHECK(load_be<std::uint8_t>(memory) == 200);
  store_be<std::uint16_t>(memory, 0xABCD);
  CHECK(load_be<std::uint16_t>(memory) == 0xABCD);
}

TEST_CASE("bytes: a buffer drops from the front and the back without moving the rest") {
  Buffer buffer(as_bytes("hello world"));
  buffer.consume(6);
  CHECK(as_text(buffer) == "world");
  buffer.truncate(3);
  CHECK(as_text(buffer) == "wor");
  Buffer moved = std::move(buffer);
  CHECK(as_text(moved) == "wor");
  CHECK(buffer.empty());  // NOLINT(bugprone-use-after-move): the promise under test
  buffer = std::move(moved);
  CHECK(as_text(buffer) == "wor");
  CHECK(Buffer(ByteSpan{}).empty());
}

TEST_CASE("bytes: hexadecimal is lower case and keeps leading zeros") {
  const std::uint8_t bytes[] = {0x00, 0xAB, 0x0F};
  CHECK(to_hex(bytes) == "00ab0f");
  CHECK(to_hex({}).empty());
}

TEST_CASE("bytes: base32 of known bytes") {
  CHECK(to_base32(as_bytes("")).empty());
  CHECK(to_base32(as_bytes("f")) == "cr");
  CHECK(to_base32(as_bytes("fo")) == "csqg");
  CHECK(to_base32(as_bytes("foobar")) == "csqpyrk1e8");
}

TEST_CASE("bytes: base32 reads back, in upper case and with the letters people confuse") {
  std::string bytes;
  CHECK(from_base32("CSQPYRK1E8", bytes));
  CHECK(bytes == "foobar");
  CHECK(from_base32("csqpyrkLe8", bytes));
  CHECK(bytes == "foobar");
  CHECK(from_base32("oo", bytes));
  CHECK(bytes == std::string(1, '\0'));
}

TEST_CASE("bytes: base32 refuses foreign letters, padding bits and impossible lengths") {
  std::string bytes;
  CHECK_FALSE(from_base32("csqu", bytes));
  CHECK_FALSE(from_base32("cs g", bytes));
  CHECK_FALSE(from_base32("cz", bytes));      // low bits of the last character are set
  CHECK_FALSE(from_base32("0", bytes));       // five bits are no byte
  CHECK_FALSE(from_base32("csq", bytes));     // 15 bits: one byte and a character too many
}

TEST_CASE("bytes: random bytes differ and fill the whole span") {
  std::set<std::string> seen;
  for (int i = 0; i < 50; ++i) {
    std::uint8_t bytes[16];
    random_bytes(bytes);
    CHECK(seen.insert(to_hex(bytes)).second);
  }
}
