#include "cli/line/exit_status.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace rexec;
using namespace rexec::cli;

namespace {
wire::Map record(const char* outcome, int code, int signal = 0, bool complete = true) {
  return {{"outcome", outcome}, {"code", code}, {"signal", signal}, {"complete", complete}};
}
}  // namespace

TEST_CASE("exit status: an end record becomes the code of CLI.md") {
  struct Row {
    wire::Map record;
    int expected;
  };
  const Row rows[] = {
      {record("exited", 0), 0},
      {record("exited", 1), 1},
      {record("exited", 42), 42},
      {record("exited", 255), 255},
      {record("exited", 121), 121},
      {record("signaled", 137, 9), 137},
      {record("signaled", 143, 15), 143},
      {record("timeout", 124, 9), 124},
      {record("stopped", 143, 15), 143},
      {record("stopped", 137, 9), 137},
      {record("stopped", 0, 0), 0},
      {record("lost", 121), 121},
      {record("denied", 120), 120},
      {record("unreachable", 125), 125},
      {record("not_started", 125), 125},
      {record("not_started", 126), 126},
      {record("not_started", 127), 127},
      {record("not_started", 3), 125},
      {record("exited", 0, 0, false), 122},
      {record("exited", 7, 0, false), 122},
      {record("signaled", 137, 9, false), 122},
      {record("timeout", 124, 9, false), 124},
      {record("lost", 121, 0, false), 121},
  };
  for (const Row& row : rows) {
    CAPTURE(row.record.dump());
    CHECK(exit_of_record(row.record) == row.expected);
  }
}

TEST_CASE("exit status: a record that makes no sense is never a success") {
  CHECK(exit_of_record(wire::Map::object()) == 121);
  CHECK(exit_of_record({{"outcome", "vanished"}}) == 121);
  CHECK(exit_of_record({{"outcome", "exited"}}) == 1);
  CHECK(exit_of_record({{"outcome", "exited"}, {"code", 256}}) == 1);
  CHECK(exit_of_record({{"outcome", "exited"}, {"code", -1}}) == 1);
  CHECK(exit_of_record({{"outcome", "exited"}, {"code", "0"}}) == 1);
}

TEST_CASE("exit status: what kept a run from starting is told apart by code and outcome") {
  struct Row {
    Code code;
    int exit;
    const char* outcome;
  };
  const Row rows[] = {
      {Code::kUnknownNode, 125, "not_started"},
      {Code::kNodeOffline, 125, "unreachable"},
      {Code::kControllerDown, 125, "unreachable"},
      {Code::kRevoked, 120, "denied"},
      {Code::kDenied, 120, "denied"},
      {Code::kRefusedByNode, 120, "denied"},
      {Code::kNotSignedIn, 125, "not_started"},
      {Code::kUsage, 125, "not_started"},
      {Code::kLinkLost, 121, "lost"},
      {Code::kOutcomeUnknown, 121, "lost"},
      {Code::kNotFoundExec, 127, "not_started"},
      {Code::kNotExecutable, 126, "not_started"},
      {Code::kIncomplete, 122, "lost"},
      {Code::kTimeout, 125, "unreachable"},
      {Code::kConflict, 125, "not_started"},
  };
  for (const Row& row : rows) {
    CAPTURE(code_name(row.code));
    CHECK(exit_of_failure(row.code) == row.exit);
    CHECK(outcome_of_failure(row.code) == row.outcome);
  }
}

TEST_CASE("exit status: several nodes come to one code by the rule") {
  struct Row {
    std::vector<int> codes;  // in the order in which they ended
    int several, max, first, any;
  };
  const Row rows[] = {
      {{0, 0, 0}, 0, 0, 0, 0}, {{0, 3, 7}, 123, 7, 3, 0},    {{9, 3}, 123, 9, 9, 123},
      {{42}, 42, 42, 42, 42},  {{0, 121}, 123, 121, 121, 0}, {{}, 125, 125, 125, 125},
  };
  for (const Row& row : rows) {
    CHECK(exit_of_several(row.codes, ExitRule::kSeveral) == row.several);
    CHECK(exit_of_several(row.codes, ExitRule::kMax) == row.max);
    CHECK(exit_of_several(row.codes, ExitRule::kFirst) == row.first);
    CHECK(exit_of_several(row.codes, ExitRule::kAny) == row.any);
  }
}

TEST_CASE("exit status: other verbs exit by the kind of error") {
  struct Row {
    Code code;
    int exit;
  };
  const Row rows[] = {
      {Code::kIo, 1},
      {Code::kInternal, 1},
      {Code::kUsage, 2},
      {Code::kConfig, 2},
      {Code::kTokenBad, 2},
      {Code::kUnknownNode, 3},
      {Code::kUnknownJob, 3},
      {Code::kUnknownObject, 3},
      {Code::kNotSignedIn, 4},
      {Code::kDenied, 4},
      {Code::kRevoked, 4},
      {Code::kTokenSpent, 4},
      {Code::kControllerDown, 5},
      {Code::kLinkLost, 5},
      {Code::kConflict, 6},
      {Code::kBusy, 6},
      {Code::kIncomplete, kExitIncomplete},  // of logs as of run
  };
  for (const Row& row : rows) {
    CAPTURE(code_name(row.code));
    CHECK(exit_of_error(row.code) == row.exit);
  }
  for (const Code code : all_codes()) {
    CHECK(exit_of_error(code) > 0);
    CHECK((exit_of_error(code) < kExitPartly || code == Code::kIncomplete));
    CHECK(exit_of_failure(code) >= 120);
    CHECK(exit_of_failure(code) <= 127);
  }
}

TEST_CASE("exit: who did not read the output gets the command's code, whatever became of it") {
  for (const char* outcome : {"exited", "signaled", "stopped", "timeout", "lost"}) {
    wire::Map record{{"outcome", outcome}, {"code", 7}, {"signal", 9}, {"complete", true}};
    const int code = exit_of_record(record);
    CHECK(exit_of_command(record) == code);
    record["complete"] = false;
    CHECK(exit_of_command(record) == code);
  }
  CHECK(exit_of_record({{"outcome", "exited"}, {"code", 0}, {"complete", false}}) ==
        kExitIncomplete);
}
