#include "cli/lines.hpp"

namespace rexec::cli {

void LinePrefixer::put_line(std::string_view rest, std::string& out) {
  out.append(stamp_).append(prefix_).append(partial_).append(rest);
  out += '\n';
  partial_.clear();
}

void LinePrefixer::feed(ByteSpan bytes, std::string& out) {
  std::string_view text = as_text(bytes);
  while (true) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) break;
    put_line(text.substr(0, end), out);
    text.remove_prefix(end + 1);
  }
  while (partial_.size() + text.size() > kLongest) {
    const std::size_t fits = kLongest - partial_.size();
    put_line(text.substr(0, fits), out);
    text.remove_prefix(fits);
  }
  partial_ += text;
}

void LinePrefixer::finish(std::string& out) {
  if (!partial_.empty()) put_line({}, out);
}

}  // namespace rexec::cli
