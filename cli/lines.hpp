// One node's stream cut into whole lines with a prefix, so that the lines of many nodes can share
// a terminal without tearing. Pure: bytes in, text out. Only for several nodes; one node's bytes
// are passed on untouched.
#pragma once

#include <string>
#include <string_view>

#include "src/base/bytes.hpp"

namespace rexec::cli {

class LinePrefixer {
 public:
  // A line that is not finished by then is written in pieces: nobody's memory grows with it.
  static constexpr std::size_t kLongest = 64 << 10;

  explicit LinePrefixer(std::string prefix) : prefix_(std::move(prefix)) {}

  // Appends the lines that are complete now.
  void feed(ByteSpan bytes, std::string& out);
  // The rest, ended with a newline.
  void finish(std::string& out);
  // What goes before the prefix of the lines to come (a time of day).
  void set_stamp(std::string stamp) { stamp_ = std::move(stamp); }

 private:
  void put_line(std::string_view rest, std::string& out);
  std::string prefix_;
  std::string stamp_;
  std::string partial_;
};

}  // namespace rexec::cli
