// Escaping, suggestions, splitting, sizes. Pure; every function is linear except nearest().
#include "src/base/text.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>

namespace rexec {
namespace {

struct Utf8Range {
  unsigned char lead_first, lead_last, second_first, second_last;
  std::uint8_t length;
};

// Table 3-7 of the Unicode standard: no overlong forms, no surrogates, nothing above U+10FFFF.
constexpr Utf8Range kUtf8[] = {
    {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
    {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
    {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
};

bool between(unsigned char value, unsigned char first, unsigned char last) {
  return value >= first && value <= last;
}

// Length in bytes of the well-formed sequence at the front, 0 when there is none.
std::size_t sequence_length(std::string_view bytes) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  if (at(0) < 0x80) return 1;
  for (const Utf8Range& range : kUtf8) {
    if (!between(at(0), range.lead_first, range.lead_last)) continue;
    if (bytes.size() < range.length) return 0;
    if (!between(at(1), range.second_first, range.second_last)) return 0;
    for (std::size_t i = 2; i < range.length; ++i) {
      if (!between(at(i), 0x80, 0xBF)) return 0;
    }
    return range.length;
  }
  return 0;
}

// Shown as it is: not a control character, and not one that reorders or hides its neighbours
// (U+200E/F, U+202A–E, U+2028/9, U+2066–9).
bool is_showable(std::string_view sequence) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(sequence[i]); };
  if (sequence.size() == 1) return at(0) >= 0x20 && at(0) != 0x7F;
  if (sequence.size() == 2) return !(at(0) == 0xC2 && at(1) < 0xA0);
  if (sequence.size() == 3 && at(0) == 0xE2 && at(1) == 0x80) {
    return !between(at(2), 0xA8, 0xAE) && !between(at(2), 0x8E, 0x8F);
  }
  if (sequence.size() == 3 && at(0) == 0xE2 && at(1) == 0x81) return !between(at(2), 0xA6, 0xA9);
  return true;
}

// Words longer than this are not compared: the work is quadratic and input may be hostile.
constexpr std::size_t kMaxCompared = 64;
using Row = std::array<std::size_t, kMaxCompared + 1>;

// Edits between two words of at most kMaxCompared bytes; a swap of neighbours is one edit.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  Row before{}, last{}, row{};
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = last;
    last = row;
  }
  return last[b.size()];
}

}  // namespace

std::string printable(std::string_view bytes) {
  std::string shown;
  shown.reserve(bytes.size());
  while (!bytes.empty()) {
    const std::size_t length = sequence_length(bytes);
    const std::string_view sequence = bytes.substr(0, std::max<std::size_t>(length, 1));
    bytes.remove_prefix(sequence.size());
    if (length > 0 && is_showable(sequence)) {
      shown += sequence;
    } else if (sequence == "\n") {
      shown += "\\n";
    } else {
      for (const char c : sequence) {
        char escaped[8];
        std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned char>(c));
        shown += escaped;
      }
    }
  }
  return shown;
}

bool is_utf8(std::string_view bytes) {
  while (true) {
    // ASCII is nearly all there is.
    const auto other =
        std::ranges::find_if_not(bytes, [](char c) { return static_cast<signed char>(c) > 0; });
    bytes.remove_prefix(static_cast<std::size_t>(other - bytes.begin()));
    if (bytes.empty()) return true;
    const std::size_t length = sequence_length(bytes);
    if (length == 0 || bytes[0] == '\0') return false;
    bytes.remove_prefix(length);
  }
}

// --memory for --mem: the longest that is the beginning of the word, or the word of it.
static std::string_view one_that_begins(std::string_view word,
                                        std::span<const std::string> candidates) {
  constexpr std::size_t kLeast = 3;
  std::string_view best;
  for (const std::string_view candidate : candidates) {
    const auto letters = std::min(word.size(), candidate.size());
    const bool begins = word.starts_with(candidate) || candidate.starts_with(word);
    const auto dashes = std::min(candidate.find_first_not_of('-'), candidate.size());
    if (begins && letters >= kLeast + dashes && candidate.size() > best.size()) best = candidate;
  }
  return best;
}

std::string nearest(std::string_view word, std::span<const std::string> candidates) {
  if (word.empty() || word.size() > kMaxCompared) return {};
  std::string_view best;
  std::size_t best_edits = kMaxCompared + 1;
  for (const std::string& candidate : candidates) {
    if (candidate.empty() || candidate.size() > kMaxCompared) continue;
    const std::size_t longer = std::max(word.size(), candidate.size());
    const std::size_t shorter = std::min(word.size(), candidate.size());
    const std::size_t allowed = std::max<std::size_t>(longer / 3, 1);
    if (longer - shorter > allowed || longer - shorter >= best_edits) continue;
    const std::size_t edits = edit_distance(word, candidate);
    if (edits > allowed || edits >= best_edits || edits >= longer) continue;
    best = candidate;
    best_edits = edits;
  }
  return std::string(best.empty() ? one_that_begins(word, candidates) : best);
}

std::string did_you_mean(std::string_view word, std::span<const std::string> candidates) {
  const std::string found = nearest(word, candidates);
  return found.empty() ? std::string() : "did you mean: " + printable(found) + "?";
}

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t end = text.find(at);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string shell_quoted(std::string_view text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string_view::npos)
    return std::string(text);
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'')
      quoted += "'\\''";
    else
      quoted += c;
  }
  return quoted + "'";
}

std::string format_size(unsigned long long bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  // 1023.95 would be shown as 1024.0.
  while (value >= 1023.95) {
    value /= 1024;
    ++unit;
  }
  char shown[32];
  std::snprintf(shown, sizeof shown, unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return shown;
}

}  // namespace rexec
