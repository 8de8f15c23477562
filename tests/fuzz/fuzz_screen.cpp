// Any bytes as a job's output on a terminal: the pieces they come in make no difference, and what
// takes the changes back leaves none, and nothing that it would take back itself.
#include <string>

#include "cli/run/screen.hpp"
#include "src/base/check.hpp"

using rexec::cli::Screen;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Screen whole;
  whole.feed(text);
  Screen parts;
  const std::size_t piece = size == 0 ? 1 : 1 + data[0] % 5;
  for (std::size_t at = 0; at < size; at += piece) parts.feed(text.substr(at, piece));
  const std::string sequence = whole.restore();
  rexec::check(sequence == parts.restore(), "pieces make no difference");
  rexec::check(whole.is_mid_line() == parts.is_mid_line(), "nor for the words behind it");
  const bool was_mid_line = whole.is_mid_line();
  whole.feed(sequence);
  rexec::check(whole.restore().empty(), "all is taken back");
  rexec::check(whole.is_mid_line() == was_mid_line, "and no text was written");
  return 0;
}
