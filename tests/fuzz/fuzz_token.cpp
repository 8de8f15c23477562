// Join tokens and tickets from a stranger's text: whatever it is, no crash, and what is accepted
// encodes to the same text. Input is tried as text and as a payload under a right checksum.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "src/base/bytes.hpp"
#include "src/base/check.hpp"
#include "src/pki/ticket.hpp"
#include "src/pki/token.hpp"

namespace {

std::uint32_t crc32(std::string_view bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const char byte : bytes) {
    crc ^= static_cast<std::uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0xedb88320U & (0U - (crc & 1U)));
  }
  return ~crc;
}

std::string under_checksum(std::string payload) {
  std::array<std::uint8_t, 4> sum;
  rexec::store_be(sum.data(), crc32(payload));
  payload.append(rexec::as_text(sum));
  return "rx1_" + rexec::to_base32(rexec::as_bytes(payload));
}

void try_token(const std::string& text) {
  using namespace rexec;
  const auto token = pki::parse_token(text);
  if (!token) return;
  const auto again = pki::encode_token(*token);
  check(again.has_value(), "a parsed token can be encoded");
  check(text.find(*again) != std::string::npos, "and is the same text");
  check(!pki::describe_token(*token).empty(), "and described");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rexec;
  static const pki::TicketKey key = pki::TicketKey::random();
  const std::string text(as_text(ByteSpan(data, size)));
  try_token(text);
  try_token(under_checksum(text));
  check(!key.open(text).has_value(), "nobody guesses a ticket");
  static_cast<void>(pki::check_address(text));
  return 0;
}
