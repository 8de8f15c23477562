// One node's stream cut into whole lines with a prefix, so that the lines of many nodes can share
// a terminal without tearing. Pure: bytes in, text out. Whose turn it is when a line is too long to
// be kept is LineShare's. One node's bytes are passed on untouched and never come here.
#pragma once

#include <string>
#include <string_view>

#include "src/base/bytes.hpp"

namespace rexec::cli {

class LinePrefixer {
 public:
  // An unfinished line that is longer wants the output for itself.
  static constexpr std::size_t kLongest = 64 << 10;

  explicit LinePrefixer(std::string prefix) : prefix_(std::move(prefix)) {}

  // Appends the lines that are complete now, and what belongs to a line that is under way.
  void feed(ByteSpan bytes, std::string& out);
  // The rest, ended with a newline.
  void finish(std::string& out);
  // What goes before the prefix of the lines that begin in the bytes to come (a time of day).
  void set_stamp(std::string stamp) { stamp_ = std::move(stamp); }

  bool is_too_long() const { return partial_.size() > kLongest; }
  std::size_t kept() const { return partial_.size(); }
  // Writes what there is of the unfinished line; from then on feed() writes the rest as it comes.
  void open(std::string& out);
  bool is_open() const { return open_; }
  // Ends a line that is under way here; what comes after it is a line of its own.
  void cut(std::string& out);

 private:
  void begin_line(std::string& out);
  // Notes the stamp of what comes, if it is the first of a line.
  void note_begin();
  std::string prefix_;
  std::string stamp_;
  std::string line_stamp_;  // of the unfinished line: that of its first byte
  std::string partial_;
  bool open_ = false;
};

}  // namespace rexec::cli
