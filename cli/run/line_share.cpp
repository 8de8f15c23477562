#include "cli/run/line_share.hpp"

#include <algorithm>
#include <utility>

namespace rexec::cli {

std::size_t LineShare::add(const std::string& prefix) {
  streams_.push_back({LinePrefixer(prefix), {}});
  return streams_.size() - 1;
}

void LineShare::write(std::size_t stream, const std::string& text) {
  if (!text.empty()) write_(stream, text);
}

void LineShare::feed(std::size_t stream, ByteSpan bytes) {
  Stream& from = streams_[stream];
  if (must_wait(stream)) return from.lines.feed(bytes, from.waiting);
  std::string text;
  from.lines.feed(bytes, text);
  write(stream, text);
  held_bytes_ += bytes.size();
  if (holder_ && !from.lines.is_open()) {
    let_go();
  } else if (holder_ && held_bytes_ > kMostHeld && someone_waits()) {
    cut();
  }
  if (!holder_ && from.lines.is_too_long()) hold(stream);
}

void LineShare::finish(std::size_t stream) {
  Stream& from = streams_[stream];
  if (must_wait(stream)) return from.lines.finish(from.waiting);
  std::string text;
  from.lines.finish(text);
  write(stream, text);
  if (holder_) let_go();
}

void LineShare::say(std::string text) {
  if (!holder_) return write(kWords, text);
  words_ += text;
}

void LineShare::set_stamp(std::size_t stream, std::string stamp) {
  streams_[stream].lines.set_stamp(std::move(stamp));
}

void LineShare::cut() {
  if (!holder_) return;
  std::string text;
  streams_[*holder_].lines.cut(text);
  write(*holder_, text);
  let_go();
}

// What is kept of an unfinished line counts while others go first: it is as long as they take.
std::size_t LineShare::waiting(std::size_t stream) const {
  if (!must_wait(stream)) return 0;
  return streams_[stream].waiting.size() + streams_[stream].lines.kept();
}

bool LineShare::someone_waits() const {
  const auto wants = [](const Stream& s) { return !s.waiting.empty() || s.lines.is_too_long(); };
  return !words_.empty() || std::any_of(streams_.begin(), streams_.end(), wants);
}

void LineShare::hold(std::size_t stream) {
  std::string text;
  streams_[stream].lines.open(text);
  write(stream, text);
  holder_ = stream;
  held_bytes_ = 0;
  ++holds_;
}

// Everything that waited, in turn from the one behind the last holder; of those that are in a long
// line by now the first has the output next.
void LineShare::let_go() {
  const std::size_t last = *std::exchange(holder_, std::nullopt);
  std::optional<std::size_t> next;
  for (std::size_t i = 1; i <= streams_.size(); ++i) {
    const std::size_t stream = (last + i) % streams_.size();
    write(stream, std::exchange(streams_[stream].waiting, {}));
    if (!next && streams_[stream].lines.is_too_long()) next = stream;
  }
  write(kWords, std::exchange(words_, {}));
  if (next) hold(*next);
}

}  // namespace rexec::cli
