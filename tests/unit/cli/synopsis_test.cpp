// The word that is missing is named as the synopsis names it.
#include "cli/line/synopsis.hpp"

#include <doctest/doctest.h>

#include "cli/line/verbs.hpp"

using namespace rexec;
using namespace rexec::cli;

namespace {

void check_verbs(std::span<const Verb* const> verbs) {
  for (const Verb* verb : verbs) {
    CAPTURE(verb->name);
    for (std::size_t given = 0; given < verb->least; ++given)
      CHECK_FALSE(missing_word(verb->synopsis, given).empty());
    check_verbs(verb->subs);
  }
}

}  // namespace

TEST_CASE("synopsis: the missing word is named, flags and what may be left out are not") {
  const struct {
    std::string_view synopsis;
    std::size_t given;
    std::string_view missing;
  } rows[] = {
      {"[flags] JOB…", 0, "JOB"},
      {"[flags] JOB…", 1, ""},
      {"[flags] TARGET [--] CMD [ARG…]", 0, "TARGET"},
      {"[flags] TARGET [--] CMD [ARG…]", 1, "CMD"},
      {"[flags] TARGET [--] CMD [ARG…] | --dag FILE", 2, ""},
      {"NAME --cron FIELDS|--every D|--at TIME [flags] TARGET [--] CMD [ARG…]", 0, "NAME"},
      {"NAME --cron FIELDS|--every D|--at TIME [flags] TARGET [--] CMD [ARG…]", 1, "TARGET"},
      {"NAME --cron FIELDS|--every D|--at TIME [flags] TARGET [--] CMD [ARG…]", 2, "CMD"},
      {"on|off|auto", 0, "on|off|auto"},
      {"[TOPIC [SUB]]", 0, ""},
      {"[flags] [TARGET…]", 0, ""},
      {"", 0, ""},
  };
  for (const auto& row : rows) {
    CAPTURE(row.synopsis);
    CHECK(missing_word(row.synopsis, row.given) == row.missing);
  }
}

TEST_CASE("synopsis: every verb's says what each word is that must be there") {
  check_verbs(all_verbs());
}
