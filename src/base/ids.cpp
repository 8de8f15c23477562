// Making and checking ids and names. Uniqueness rests on 60 random bits; nobody counts.
#include "src/base/ids.hpp"

#include "src/base/bytes.hpp"
#include "src/base/text.hpp"

namespace rexec {
namespace {

constexpr std::size_t kIdCharacters = 12;  // 60 bits: a million jobs collide with 1 in 2 million
constexpr std::size_t kMaxName = 63;      // a DNS label: a node's name can be its host name

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_base32(char c) {
  const bool letter = c >= 'a' && c <= 'z' && c != 'i' && c != 'l' && c != 'o' && c != 'u';
  return letter || (c >= '0' && c <= '9');
}

}  // namespace

std::string random_id(char prefix) {
  std::uint8_t bytes[8];
  random_bytes(bytes);
  return std::string{prefix, '-'} + to_base32(bytes).substr(0, kIdCharacters);
}

bool is_id(std::string_view text, char prefix) {
  if (text.size() != kIdCharacters + 2 || text[0] != prefix || text[1] != '-') return false;
  for (const char c : text.substr(2)) {
    if (!is_base32(c)) return false;
  }
  return true;
}

Result<void> check_name(std::string_view what, std::string_view name) {
  bool good = !name.empty() && name.size() <= kMaxName && is_alphanumeric(name.front()) &&
              is_alphanumeric(name.back());
  for (const char c : name) good = good && (is_alphanumeric(c) || c == '.' || c == '_' || c == '-');
  if (good) return {};
  const std::string shown = printable(name.substr(0, kMaxName + 1));
  return fail(Code::kUsage, std::string(what) + " \"" + shown + "\" is not a valid name",
              "use 1 to 63 letters, digits, '.', '_' or '-', the first and last a letter or digit");
}

}  // namespace rexec
