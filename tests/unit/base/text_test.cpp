// Escaping, suggestions, splitting, sizes.
#include "src/base/text.hpp"

#include <doctest/doctest.h>

using namespace rexec;

TEST_CASE("text: printable leaves plain and accented text alone") {
  CHECK(printable("plain \\ text") == "plain \\ text");
  CHECK(printable("größe 中文 😀") == "größe 中文 😀");
}

TEST_CASE("text: printable disarms terminal sequences, C1 controls and broken UTF-8") {
  CHECK(printable("\x1b[2J") == "\\x1b[2J");
  CHECK(printable("a\nb\tc\x7f") == "a\\nb\\x09c\\x7f");
  CHECK(printable("\xc2\x9b" "31m") == "\\xc2\\x9b31m");
  CHECK(printable("\xff\xfe") == "\\xff\\xfe");
  CHECK(printable("\xe2\x82") == "\\xe2\\x82");          // cut off
  CHECK(printable("\xc0\xaf") == "\\xc0\\xaf");          // overlong
  CHECK(printable("\xed\xa0\x80") == "\\xed\\xa0\\x80");  // surrogate
  CHECK(printable("\xe2\x80\xae" "txt") == "\\xe2\\x80\\xaetxt");  // right-to-left override
  CHECK(printable(std::string_view("\0", 1)) == "\\x00");
}

TEST_CASE("text: is_utf8 refuses what is malformed and NUL") {
  CHECK(is_utf8(""));
  CHECK(is_utf8("größe 😀\n\x1b"));
  CHECK_FALSE(is_utf8("\xff"));
  CHECK_FALSE(is_utf8("\xf4\x90\x80\x80"));
  CHECK_FALSE(is_utf8(std::string_view("a\0b", 3)));
}

TEST_CASE("text: the nearest word is suggested, a far one is not") {
  const std::vector<std::string> words{"node42", "web1", "database"};
  CHECK(nearest("nod42", words) == "node42");
  CHECK(nearest("ndoe42", words) == "node42");
  CHECK(nearest("databsae", words) == "database");
  CHECK(nearest("we1", words) == "web1");
  CHECK(nearest("printer", words).empty());
  CHECK(nearest("", words).empty());
  const std::vector<std::string> flags{"--mem", "--cpu", "--children"};
  CHECK(nearest("--memory", flags) == "--mem");
  CHECK(nearest("--chi", flags) == "--children");
  CHECK(nearest("--c", flags).empty());
  CHECK(did_you_mean("nod42", words) == "did you mean: node42?");
  CHECK(did_you_mean("zzz", words).empty());
}

TEST_CASE("text: one letter is no suggestion for another") {
  const std::vector<std::string> words{"a", "b"};
  CHECK(nearest("x", words).empty());
}

TEST_CASE("text: hostile lengths are not compared") {
  const std::vector<std::string> words{std::string(100'000, 'a'), "node"};
  CHECK(nearest(std::string(100'000, 'b'), words).empty());
  CHECK(nearest("nodes", words) == "node");
}

TEST_CASE("text: split keeps empty parts") {
  CHECK(split("a,b", ',') == std::vector<std::string>{"a", "b"});
  CHECK(split(",a,", ',') == std::vector<std::string>{"", "a", ""});
  CHECK(split("", ',') == std::vector<std::string>{""});
}

TEST_CASE("text: a word for a shell is quoted only when it has to be") {
  CHECK(shell_quoted("/var/lib/rexec-1/key.der") == "/var/lib/rexec-1/key.der");
  CHECK(shell_quoted("") == "''");
  CHECK(shell_quoted("/a b/$c") == "'/a b/$c'");
  CHECK(shell_quoted("it's") == "'it'\\''s'");
  CHECK(shell_quoted("~x") == "'~x'");
  CHECK(shell_quoted("grün") == "'grün'");
}

TEST_CASE("text: sizes are binary and round up to the next unit rather than show 1024") {
  CHECK(format_size(0) == "0 B");
  CHECK(format_size(1023) == "1023 B");
  CHECK(format_size(1024) == "1.0 KiB");
  CHECK(format_size(1536) == "1.5 KiB");
  CHECK(format_size(1024ULL * 1024 - 1) == "1.0 MiB");
  CHECK(format_size(~0ULL) == "16.0 EiB");
}
