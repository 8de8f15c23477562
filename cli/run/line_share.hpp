// The streams of many nodes on one output, line by line. A line that is too long to be kept has the
// output for itself until its newline comes or its stream ends: the others' lines wait, and their
// nodes are asked for no more. So that nobody waits for ever, the line is broken, with a newline,
// when cut() is called (Output: others have waited for two seconds) or it is beyond kMostHeld
// while others wait. Pure; knows no node and no descriptor.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/run/lines.hpp"

namespace rexec::cli {

class LineShare {
 public:
  static constexpr std::size_t kMostHeld = 16 << 20;
  using Write = std::function<void(std::size_t stream, std::string_view text)>;
  // rexec's own words are no stream's.
  static constexpr std::size_t kWords = ~std::size_t{0};

  explicit LineShare(Write write) : write_(std::move(write)) {}

  std::size_t add(const std::string& prefix);  // the number of a stream
  void feed(std::size_t stream, ByteSpan bytes);
  void finish(std::size_t stream);
  // Whole lines of rexec's own.
  void say(std::string text);
  void set_stamp(std::size_t stream, std::string stamp);
  // Breaks the line that has the output, if one has, and lets the others go.
  void cut();

  bool is_held() const { return holder_.has_value(); }
  // How many lines have had the output for themselves so far.
  std::uint64_t holds() const { return holds_; }
  bool someone_waits() const;
  // Bytes of that stream that wait for their turn.
  std::size_t waiting(std::size_t stream) const;

 private:
  struct Stream {
    LinePrefixer lines;
    std::string waiting;
  };
  bool must_wait(std::size_t stream) const { return holder_ && *holder_ != stream; }
  void write(std::size_t stream, const std::string& text);
  void hold(std::size_t stream);
  void let_go();

  Write write_;
  std::vector<Stream> streams_;
  std::string words_;
  std::optional<std::size_t> holder_;
  std::size_t held_bytes_ = 0;
  std::uint64_t holds_ = 0;
};

}  // namespace rexec::cli
