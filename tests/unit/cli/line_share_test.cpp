// Lines of several nodes on one output, when one of them is too long to be kept.
#include "cli/run/line_share.hpp"

#include <doctest/doctest.h>

using namespace rexec;
using namespace rexec::cli;

namespace {

const std::string kLong(LinePrefixer::kLongest + 1, 'x');

struct Shared {
  std::string text;
  LineShare lines{[this](std::size_t, std::string_view more) { text += more; }};
  explicit Shared(int nodes) {
    for (int i = 0; i < nodes; ++i) lines.add(std::string(1, static_cast<char>('a' + i)) + ": ");
  }
  void feed(std::size_t stream, std::string_view bytes) { lines.feed(stream, as_bytes(bytes)); }
};

}  // namespace

TEST_CASE("line share: nothing comes in between a long line, what waited follows it") {
  Shared out(3);
  out.feed(0, kLong);
  CHECK(out.lines.is_held());
  out.feed(1, "one\ntw");
  out.feed(2, "three\n");
  CHECK(out.lines.waiting(1) == std::string_view("b: one\ntw").size());
  CHECK(out.lines.waiting(0) == 0);
  out.feed(0, "y\nafter\n");
  CHECK_FALSE(out.lines.is_held());
  CHECK(out.lines.waiting(1) == 0);
  out.feed(1, "o\n");
  CHECK(out.text == "a: " + kLong + "y\na: after\nb: one\nc: three\nb: two\n");
}

TEST_CASE("line share: of several long lines each is whole, one after the other") {
  Shared out(3);
  for (std::size_t node = 0; node < 3; ++node) out.feed(node, kLong);
  for (std::size_t node = 3; node-- > 0;) out.feed(node, "y\n");
  CHECK(out.text == "a: " + kLong + "y\nb: " + kLong + "y\nc: " + kLong + "y\n");
  CHECK(out.lines.holds() == 1);  // the others were whole when their turn came
}

TEST_CASE("line share: the end of a stream ends its long line, also while it waits") {
  Shared out(2);
  out.feed(0, kLong);
  out.feed(1, kLong);
  out.lines.finish(1);
  out.lines.finish(0);
  CHECK(out.text == "a: " + kLong + "\nb: " + kLong + "\n");
}

TEST_CASE("line share: a line that is cut goes on behind those that waited, also rexec's own") {
  Shared out(2);
  out.lines.say("rexec: before\n");
  out.feed(0, kLong);
  out.feed(1, "one\n");
  CHECK(out.lines.someone_waits());
  out.lines.say("rexec: words\n");
  out.lines.cut();
  CHECK_FALSE(out.lines.someone_waits());
  out.feed(0, "y\n");
  CHECK(out.text == "rexec: before\na: " + kLong + "\nb: one\nrexec: words\na: y\n");
}

TEST_CASE("line share: a line without an end is passed on, and broken when others wait too long") {
  // FAULTS J4
  Shared out(2);
  const std::string block(64 << 10, 'x');
  for (std::size_t sent = 0; sent <= 2 * LineShare::kMostHeld; sent += block.size())
    out.feed(0, block);
  CHECK(out.text.find('\n') == std::string::npos);
  out.feed(1, "one\n");
  out.feed(0, block);
  CHECK(out.text.ends_with("x\nb: one\n"));
}
