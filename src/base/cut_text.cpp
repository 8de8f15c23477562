#include "src/base/cut_text.hpp"

namespace rexec {

std::string_view cut_text(std::string_view text, std::size_t most) {
  constexpr std::size_t kLongestCharacter = 4;
  if (text.size() <= most) return text;
  const auto is_inside = [&](std::size_t at) {
    return (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
  };
  std::size_t end = most;
  while (end > 0 && most - end < kLongestCharacter && is_inside(end)) --end;
  // So many of them in a row are no character of UTF-8.
  return text.substr(0, most - end < kLongestCharacter ? end : most);
}

}  // namespace rexec
