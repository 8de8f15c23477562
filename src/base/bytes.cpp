// Text encodings of bytes, and the kernel's randomness.
#include "src/base/bytes.hpp"

#include <sys/random.h>

#include <cerrno>

#include "src/base/check.hpp"

namespace rexec {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";
constexpr char kBase32Digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

// 0–31, or -1 for a character outside the alphabet.
int base32_value(char c) {
  if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  if (c == 'i' || c == 'l') return 1;
  if (c == 'o') return 0;
  for (int value = 0; value < 32; ++value) {
    if (kBase32Digits[value] == c) return value;
  }
  return -1;
}

}  // namespace

std::string to_hex(ByteSpan bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    text += kHexDigits[byte >> 4];
    text += kHexDigits[byte & 15];
  }
  return text;
}

std::string to_base32(ByteSpan bytes) {
  std::string text;
  text.reserve((bytes.size() * 8 + 4) / 5);
  std::uint32_t bits = 0;
  int held = 0;  // how many low bits of `bits` are not written yet
  for (const std::uint8_t byte : bytes) {
    bits = (bits << 8) | byte;
    for (held += 8; held >= 5; held -= 5) text += kBase32Digits[(bits >> (held - 5)) & 31];
  }
  if (held > 0) text += kBase32Digits[(bits << (5 - held)) & 31];
  return text;
}

bool from_base32(std::string_view text, std::string& bytes_out) {
  bytes_out.clear();
  bytes_out.reserve(text.size() * 5 / 8);
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const int value = base32_value(c);
    if (value < 0) return false;
    bits = (bits << 5) | static_cast<std::uint32_t>(value);
    held += 5;
    if (held >= 8) {
      held -= 8;
      bytes_out += static_cast<char>((bits >> held) & 255);
    }
  }
  // Five or more left-over bits are a whole character that encodes nothing.
  return held < 5 && (bits & ((1U << held) - 1)) == 0;
}

void random_bytes(MutableBytes out) {
  while (!out.empty()) {
    const ssize_t got = ::getrandom(out.data(), out.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    check(got > 0, "getrandom");
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

}  // namespace rexec
