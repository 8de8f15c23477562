// What a job has changed of the terminal, and what takes just that back.
#include "cli/run/screen.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace rexec::cli;

namespace {

std::string restored(std::string_view output, std::size_t piece) {
  Screen screen;
  for (std::size_t at = 0; at < output.size(); at += piece) screen.feed(output.substr(at, piece));
  return screen.restore();
}

#define E "\x1b"

struct Row {
  std::string output;
  std::string wanted;
};

}  // namespace

TEST_CASE("screen: what a job has switched on is taken back, in whatever pieces it came") {
  const Row rows[] = {
      {E "[?1049h", E "[?1049l"},
      {E "[?1047h", E "[?1047l"},
      {E "[?47h", E "[?47l"},
      {E "[?25l", E "[?25h"},
      {E "[?1049h" E "[?25l", E "[?25h" E "[?1049l"},
      {E "[?1000;1006h", E "[?1006l" E "[?1000l"},
      {E "[?1002h" E "[?1003h", E "[?1003l" E "[?1002l"},
      {E "[?2004h", E "[?2004l"},
      {E "[?1h" E "=", E ">" E "[?1l"},
      {E "[?7l", E "[?7h"},
      {E "[4h", E "[4l"},
      {E "[31mred", E "[0m"},
      {E "[38;5;0mblack", E "[0m"},
      {E "[48;2;0;0;0m", E "[0m"},
      {E "[4:3m", E "[0m"},
      {E "(0lqqk", E "(B"},
      {E ")0\x0elqqk", "\x0f"},
      {E "[2;10r", E "7" E "[r" E "8"},
      {E "[?1049h" E "[2;10r", E "[r" E "[?1049l"},
      {E "[?6h", E "[?6l" E "[999;1H"},
      {E "[5 q", E "[0 q"},
      {E "[>4;2m", E "[>4;0m"},
      {E "[>1u" E "[>3u", E "[<2u"},
      {"text" E "[3", "\x18"},
      {E "]0;a title", "\x18"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.output.substr(1));
    for (std::size_t piece = 1; piece <= 4; ++piece)
      CHECK(restored(row.output, piece) == row.wanted);
    CHECK(restored(row.output + row.wanted, 1000) == "");
  }
}

TEST_CASE("screen: where nothing is changed, or it was changed back, nothing is written") {
  const char* const rows[] = {
      "",
      "inside\r\n",
      "a title: " E "]0;[?1049h" E "\\",
      "another: " E "]0;[?25l\a",
      E "P$q[?1049h" E "\\",
      E "[?1049h" E "[?1049l",
      E "[?1049h" E "[?47l",
      E "[?25l" E "[?25h",
      E "[31mred" E "[m",
      E "[31mred" E "[0m",
      E "[1;31mred" E "[1;0m",
      E "(0" E "(B",
      "\x0e\x0f",
      E "=" E ">",
      E "[2;10r" E "[r",
      E "[6n" E "[c" E "[2J" E "[10;10H" E "[K",
      E "[?12h" E "[?1048h" E "7" E "8",
      E "[?25l" E "[31m" E "[2;5r" E "(0" E "[!p",
      E "[?1049h" E "[?25l" E "[31m" E "=" E "[?1000h" E "c",
      E "[?1049\x18h",
      E "[?1049" E "[K",
      E "%G" E "#8",
      E "[>0;276;0c" E "[>q",
      "\xc3\xa4\xe2\x94\x82",
  };
  for (const char* row : rows) {
    CAPTURE(std::string(row));
    for (std::size_t piece = 1; piece <= 3; ++piece) CHECK(restored(row, piece) == "");
  }
}

TEST_CASE("screen: a control character amid a sequence belongs to none and breaks none") {
  CHECK(restored(E "[?10\n49h", 1) == E "[?1049l");
}

TEST_CASE("screen: numbers and lists without end name nothing") {
  CHECK(restored(E "[?99999999999999999999h", 7) == "");
  std::string list = E "[?";
  for (int i = 0; i < 1000; ++i) list += "1;";
  CHECK(restored(list + "1049h", 13) == E "[?1l");
}

TEST_CASE("screen: words begin a line of their own where the ordinary screen shows some text") {
  const auto is_mid_line = [](std::string_view text) {
    Screen screen;
    screen.feed(text);
    return screen.is_mid_line();
  };
  CHECK_FALSE(is_mid_line(""));
  CHECK(is_mid_line("$ "));
  CHECK_FALSE(is_mid_line("done\r\n"));
  CHECK_FALSE(is_mid_line("done\r\n" E "[0m"));
  CHECK_FALSE(is_mid_line("done\r\n" E "[?1049h"
                          "full screen"));
  CHECK(is_mid_line("$ vi" E "[?1049h"
                    "full\nscreen\n" E "[?1049l"));
}
