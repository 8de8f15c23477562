// Text for people: escaping what a peer sent, suggestions for a mistyped word, sizes. Colours and
// tables are cli/line/listing's.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rexec {

// Control bytes, DEL, C1, characters that reorder text and invalid UTF-8 become \xNN (newline \n):
// safe for a terminal and a log line.
std::string printable(std::string_view bytes);
// True for well-formed UTF-8 without NUL.
bool is_utf8(std::string_view bytes);
// The nearest of `candidates` within a third of its length in edits (Damerau–Levenshtein: a swap
// of neighbours is one edit), or empty. Short words may differ by one edit.
std::string nearest(std::string_view word, std::span<const std::string> candidates);
// "did you mean: x?" or empty: ready as the first line of a hint.
std::string did_you_mean(std::string_view word, std::span<const std::string> candidates);
std::vector<std::string> split(std::string_view text, char at);
// As one word of a POSIX shell, for a hint that people paste: quoted when it has to be.
std::string shell_quoted(std::string_view text);
// 1536 -> "1.5 KiB".
std::string format_size(unsigned long long bytes);

}  // namespace rexec
