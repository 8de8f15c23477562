// Exit codes: the tables of CLI.md as pure functions. `rexec run` and its kin exit as the job did;
// every other verb by what kind of error it met. Called last by every verb; prints nothing.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "src/base/error.hpp"
#include "src/wire/maps.hpp"

namespace rexec::cli {

inline constexpr int kExitDenied = 120;      // refused by policy, ban or role
inline constexpr int kExitLost = 121;        // lost, or left running
inline constexpr int kExitIncomplete = 122;  // the command ended, its output has a hole
inline constexpr int kExitSeveral = 123;     // several nodes: some failed
inline constexpr int kExitTimeout = 124;
inline constexpr int kExitNotStarted = 125;

// ---- run, attach, wait, logs -f

// From an end record. Unknown outcomes (a newer node's) count as lost.
int exit_of_record(const wire::Map& record);
// The same of one who did not read the output: what became of it is not his loss, so never 122.
int exit_of_command(wire::Map record);
// A run that has no end record: why.
int exit_of_failure(Code code);
// "denied", "unreachable", "lost" or "not_started": what the status JSON calls that failure.
std::string_view outcome_of_failure(Code code);

// --exit: how the codes of several nodes become one.
enum class ExitRule {
  kSeveral,  // 0 when all are 0, else 123
  kMax,      // the largest
  kFirst,    // of the first node that failed, in the order in which they ended
  kAny,      // 0 when one node at least succeeded, else 123
};
// `codes` in the order in which the jobs ended; one code stands for itself under every rule.
int exit_of_several(std::span<const int> codes, ExitRule rule);

// ---- every other verb: 1 failed, 2 usage, 3 no such object, 4 not allowed, 5 unreachable, 6
// conflict
int exit_of_error(Code code);
inline constexpr int kExitPartly = 7;  // some of several objects

}  // namespace rexec::cli
