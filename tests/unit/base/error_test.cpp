// Codes, their names and their pages.
#include "src/base/error.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <set>

using namespace rexec;

TEST_CASE("error: every code has its own name, which finds it again, and a page") {
  std::set<std::string_view> names;
  for (const Code code : all_codes()) {
    const std::string_view name = code_name(code);
    CHECK(names.insert(name).second);
    CHECK(code_from_name(name) == code);
    const std::string_view page = code_explanation(code);
    CHECK(page.size() > 80);
    CHECK(page.front() != '\n');
    CHECK(page.back() != '\n');
  }
  CHECK(names.size() == static_cast<std::size_t>(Code::kInternal) + 1);
}

TEST_CASE("error: the names that scripts rely on do not change") {
  CHECK(code_name(Code::kUsage) == "usage");
  CHECK(code_name(Code::kUnknownNode) == "unknown_node");
  CHECK(code_name(Code::kNotFoundExec) == "not_found_exec");
  CHECK(code_name(Code::kOutcomeUnknown) == "outcome_unknown");
}

TEST_CASE("error: a name or number from a newer peer reads as internal") {
  CHECK(code_from_name("phase_of_moon") == Code::kInternal);
  CHECK(code_from_name("") == Code::kInternal);
  CHECK(code_name(static_cast<Code>(9999)) == "internal");
}

TEST_CASE("error: explanation lines fit a terminal of 100 columns") {
  for (const Code code : all_codes()) {
    std::size_t column = 0;
    for (const char c : code_explanation(code)) {
      column = c == '\n' ? 0 : column + 1;
      CHECK(column <= 104);  // bytes; a few lines hold two- and three-byte characters
    }
  }
}

TEST_CASE("error: fail_errno names the thing and the system's reason, on one line") {
  const Error error = fail_errno("/no/such\nfile", ENOENT).error();
  CHECK(error.code == Code::kIo);
  CHECK(error.message == "/no/such\\nfile: No such file or directory");
}
