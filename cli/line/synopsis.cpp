#include "cli/line/synopsis.hpp"

#include "src/base/text.hpp"

namespace rexec::cli {

std::string missing_word(std::string_view synopsis, std::size_t given) {
  constexpr std::string_view kMore = "…";
  const std::string first_way(synopsis.substr(0, synopsis.find(" | ")));
  bool in_brackets = false;
  bool is_value = false;  // of the flag before it
  for (std::string word : split(first_way, ' ')) {
    const bool opens = word.starts_with('[');
    const bool closes = word.ends_with(']') || word.ends_with("]…");
    const bool skipped = word.empty() || in_brackets || opens || is_value;
    in_brackets = (in_brackets || opens) && !closes;
    is_value = word.find("--") != std::string::npos && !opens;
    if (skipped || is_value) continue;
    if (given-- > 0) continue;
    if (word.ends_with(kMore)) word.resize(word.size() - kMore.size());
    return word;
  }
  return {};
}

}  // namespace rexec::cli
