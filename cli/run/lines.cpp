#include "cli/run/lines.hpp"

#include <utility>

namespace rexec::cli {

void LinePrefixer::begin_line(std::string& out) {
  if (!std::exchange(open_, false)) out.append(line_stamp_).append(prefix_).append(partial_);
  partial_.clear();
}

void LinePrefixer::note_begin() {
  if (!open_ && partial_.empty()) line_stamp_ = stamp_;
}

void LinePrefixer::feed(ByteSpan bytes, std::string& out) {
  std::string_view text = as_text(bytes);
  while (true) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) break;
    note_begin();
    begin_line(out);
    out.append(text.substr(0, end + 1));
    text.remove_prefix(end + 1);
  }
  if (text.empty()) return;
  note_begin();
  (open_ ? out : partial_).append(text);
}

void LinePrefixer::open(std::string& out) {
  begin_line(out);
  open_ = true;
}

void LinePrefixer::cut(std::string& out) {
  if (std::exchange(open_, false)) out += '\n';
}

void LinePrefixer::finish(std::string& out) {
  if (partial_.empty()) return cut(out);
  begin_line(out);
  out += '\n';
}

}  // namespace rexec::cli
