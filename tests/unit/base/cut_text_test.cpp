// Cutting a text at a length without cutting a character.
#include "src/base/cut_text.hpp"

#include <doctest/doctest.h>

#include "src/base/text.hpp"

using namespace rexec;

TEST_CASE("cut_text: no character is cut in two, and nothing shorter is touched") {
  const struct {
    const char* text;
    std::size_t most;
    const char* expected;
  } rows[] = {{"abc", 3, "abc"},
              {"abc", 2, "ab"},
              {"abc", 0, ""},
              {"a\xC3\xA9", 2, "a"},
              {"a\xC3\xA9", 3, "a\xC3\xA9"},
              {"a\xE2\x82\xAC", 3, "a"},
              {"a\xE2\x82\xAC!", 4, "a\xE2\x82\xAC"},
              {"\xF0\x9F\x98\x80", 3, ""},
              {"a\xF0\x9F\x98\x80z", 5, "a\xF0\x9F\x98\x80"}};
  for (const auto& row : rows) {
    CAPTURE(row.text);
    CAPTURE(row.most);
    CHECK(cut_text(row.text, row.most) == row.expected);
  }
}

TEST_CASE("cut_text: of every text of UTF-8 every beginning is one") {
  const std::string text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z\xC3\xA9";
  for (std::size_t most = 0; most <= text.size(); ++most) {
    CAPTURE(most);
    CHECK(cut_text(text, most).size() <= most);
    CHECK(is_utf8(cut_text(text, most)));
  }
}

TEST_CASE("cut_text: what is no UTF-8 is bounded all the same") {
  CHECK(cut_text(std::string(100, '\x80'), 10).size() == 10);
}
