#include "cli/run/escape.hpp"

#include <doctest/doctest.h>

#include <string>

#include "cli/run/signals.hpp"

using namespace rexec;
using namespace rexec::cli;

namespace {

struct Typed {
  std::string sent;
  bool left = false;
  int suspends = 0;
};

Typed type(const std::string& keys, std::size_t piece) {
  Escape escape;
  Typed typed;
  for (std::size_t at = 0; at < keys.size(); at += piece) {
    std::string bytes = keys.substr(at, piece);
    const Escape::Wish wish = escape.feed(bytes);
    typed.left = wish == Escape::Wish::kLeave;
    typed.suspends += wish == Escape::Wish::kSuspend ? 1 : 0;
    typed.sent += bytes;
  }
  return typed;
}

BootTime at(int millis) { return BootTime(Millis{millis}); }

}  // namespace

TEST_CASE("escape: Enter ~ . leaves and is not sent, in whatever pieces it comes") {
  struct Row {
    const char* keys;
    const char* sent;
    bool left;
  };
  const Row rows[] = {
      {"~.", "", true},         {"ls\r~.rest", "ls\r", true}, {"ls~.", "ls~.", false},
      {"\r~~.", "\r~.", false}, {"\r~x", "\r~x", false},      {"a\n~.", "a\n", true},
      {"~\r~.", "~\r", true},   {"~~~.", "~~.", false},       {"", "", false},
  };
  for (const Row& row : rows) {
    for (std::size_t piece = 1; piece <= 4; ++piece) {
      CAPTURE(row.keys);
      const Typed typed = type(row.keys, piece);
      CHECK(typed.sent == row.sent);
      CHECK(typed.left == row.left);
    }
  }
}

TEST_CASE("escape: Enter ~ Ctrl-Z suspends, is not sent, and leaves the line where it was") {
  for (std::size_t piece = 1; piece <= 5; ++piece) {
    const Typed once = type(
        "ls\r~\x1a"
        "pwd\r",
        piece);
    CHECK(once.sent == "ls\rpwd\r");
    CHECK(once.suspends == 1);
    CHECK_FALSE(once.left);
    const Typed then = type("~\x1a~.", piece);
    CHECK(then.sent.empty());
    CHECK(then.left);
    CHECK(type("a~\x1a", piece).sent == "a~\x1a");
  }
}

TEST_CASE("signals: Ctrl-C is INT, again within 2 s a stop, then leaving") {
  // FAULTS C6
  InterruptLadder ladder;
  CHECK_FALSE(ladder.was_pressed());
  CHECK(ladder.press(at(0)) == Reaction::kInterrupt);
  CHECK(ladder.press(at(1'900)) == Reaction::kStop);
  CHECK(ladder.press(at(60'000)) == Reaction::kGo);
  CHECK(ladder.press(at(60'001)) == Reaction::kGo);
}

TEST_CASE("signals: a second Ctrl-C after 2 s is a first one") {
  InterruptLadder ladder;
  CHECK(ladder.press(at(0)) == Reaction::kInterrupt);
  CHECK(ladder.press(at(2'001)) == Reaction::kInterrupt);
  CHECK(ladder.press(at(2'100)) == Reaction::kStop);
}
