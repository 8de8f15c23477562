// Encodings read back; text for people is always safe; durations keep their order.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "src/base/bytes.hpp"
#include "src/base/clock.hpp"
#include "src/base/text.hpp"

using namespace rexec;

TEST_CASE("base32: what is written reads back, and one changed character never reads the same") {
  CHECK(rc::check([](const std::string& bytes) {
    std::string text = to_base32(as_bytes(bytes));
    std::string read;
    RC_ASSERT(from_base32(text, read));
    RC_ASSERT(read == bytes);
    if (text.empty()) return;
    const auto at = *rc::gen::inRange<std::size_t>(0, text.size());
    text[at] = text[at] == '7' ? '8' : '7';
    RC_ASSERT(!from_base32(text, read) || read != bytes);
  }));
}

TEST_CASE("printable: the result is UTF-8 without control bytes, whatever came in") {
  CHECK(rc::check([](const std::string& bytes) {
    const std::string shown = printable(bytes);
    RC_ASSERT(is_utf8(shown));
    for (const char c : shown) RC_ASSERT(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F);
    RC_ASSERT(printable(shown) == shown);
  }));
}

TEST_CASE("durations: milliseconds written out are read exactly") {
  CHECK(rc::check([] {
    const auto millis = *rc::gen::inRange<std::int64_t>(0, 1'000'000'000);
    const auto parsed = parse_duration("x", std::to_string(millis) + "ms");
    RC_ASSERT(parsed.has_value());
    RC_ASSERT(parsed->count() == millis);
    const auto hours = millis / 3'600'000, rest = millis % 3'600'000;
    const auto sum = parse_duration("x", std::to_string(hours) + "h" + std::to_string(rest) + "ms");
    RC_ASSERT(sum.has_value());
    RC_ASSERT(sum->count() == millis);
  }));
}

TEST_CASE("nearest: a word with one letter dropped is found again among strangers") {
  CHECK(rc::check([] {
    const std::vector<std::string> words{"alpha7", "bravo22", "charlie333"};
    const auto which = *rc::gen::inRange<std::size_t>(0, words.size());
    std::string typo = words[which];
    typo.erase(*rc::gen::inRange<std::size_t>(0, typo.size()), 1);
    RC_ASSERT(nearest(typo, words) == words[which]);
  }));
}
