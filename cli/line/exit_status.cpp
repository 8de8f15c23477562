// The switches have no default on purpose: a new code does not compile until somebody decided.
#include "cli/line/exit_status.hpp"

#include <algorithm>

#include "src/job/spec/record.hpp"

namespace rexec::cli {
namespace {

int signal_code(const wire::Map& record) {
  const std::uint64_t signal = wire::u64_or(record, "signal", 0);
  return signal > 0 && signal < 128 ? 128 + static_cast<int>(signal) : -1;
}

int code_or(const wire::Map& record, int otherwise) {
  const std::uint64_t code = wire::u64_or(record, "code", 256);
  return code < 256 ? static_cast<int>(code) : otherwise;
}

}  // namespace

int exit_of_record(const wire::Map& record) {
  const auto outcome = job::outcome_from_name(wire::text_or(record, "outcome", "lost"));
  if (!outcome) return kExitLost;
  const bool complete = wire::bool_or(record, "complete", true);
  const int by_signal = signal_code(record);
  switch (*outcome) {
    case job::Outcome::kExited:
      return complete ? code_or(record, 1) : kExitIncomplete;
    case job::Outcome::kSignaled:
      return complete ? (by_signal > 0 ? by_signal : code_or(record, 1)) : kExitIncomplete;
    case job::Outcome::kTimeout:
      return kExitTimeout;
    case job::Outcome::kStopped:
      return by_signal > 0 ? by_signal : code_or(record, 1);
    case job::Outcome::kLost:
      return kExitLost;
    case job::Outcome::kDenied:
      return kExitDenied;
    case job::Outcome::kUnreachable:
      return kExitNotStarted;
    case job::Outcome::kNotStarted: {
      const int code = code_or(record, kExitNotStarted);
      return code == 126 || code == 127 ? code : kExitNotStarted;
    }
  }
  return kExitLost;
}

int exit_of_command(wire::Map record) {
  record["complete"] = true;
  return exit_of_record(record);
}

int exit_of_failure(Code code) {
  switch (code) {
    case Code::kDenied:
    case Code::kRevoked:
    case Code::kRefusedByNode:
      return kExitDenied;
    case Code::kLinkLost:
    case Code::kOutcomeUnknown:
    case Code::kLeft:
      return kExitLost;
    case Code::kIncomplete:
      return kExitIncomplete;
    case Code::kNotExecutable:
      return 126;
    case Code::kNotFoundExec:
      return 127;
    case Code::kUsage:
    case Code::kConfig:
    case Code::kUnknownNode:
    case Code::kUnknownJob:
    case Code::kUnknownObject:
    case Code::kAmbiguousJob:
    case Code::kNodeOffline:
    case Code::kControllerDown:
    case Code::kNotSignedIn:
    case Code::kExpired:
    case Code::kTokenBad:
    case Code::kTokenSpent:
    case Code::kPinMismatch:
    case Code::kKeyExposed:
    case Code::kConflict:
    case Code::kProtocol:
    case Code::kVersion:
    case Code::kLimit:
    case Code::kTimeout:
    case Code::kIo:
    case Code::kStore:
    case Code::kBusy:
    case Code::kDependency:
    case Code::kQueueTimeout:
    case Code::kInterrupted:
    case Code::kInternal:
      return kExitNotStarted;
  }
  return kExitNotStarted;
}

std::string_view outcome_of_failure(Code code) {
  const int exit = exit_of_failure(code);
  if (exit == kExitDenied) return "denied";
  if (exit == kExitLost || exit == kExitIncomplete) return "lost";
  if (code == Code::kNodeOffline || code == Code::kControllerDown || code == Code::kTimeout) {
    return "unreachable";
  }
  return "not_started";
}

int exit_of_several(std::span<const int> codes, ExitRule rule) {
  if (codes.size() == 1) return codes.front();
  if (codes.empty()) return kExitNotStarted;
  const auto is_failure = [](int code) { return code != 0; };
  const auto failed = std::find_if(codes.begin(), codes.end(), is_failure);
  if (failed == codes.end()) return 0;
  switch (rule) {
    case ExitRule::kSeveral:
      return kExitSeveral;
    case ExitRule::kMax:
      return *std::max_element(codes.begin(), codes.end());
    case ExitRule::kFirst:
      return *failed;
    case ExitRule::kAny:
      return std::count(codes.begin(), codes.end(), 0) > 0 ? 0 : kExitSeveral;
  }
  return kExitSeveral;
}

int exit_of_error(Code code) {
  switch (code) {
    case Code::kUsage:
    case Code::kConfig:
    case Code::kTokenBad:
      return 2;
    case Code::kUnknownNode:
    case Code::kUnknownJob:
    case Code::kUnknownObject:
    case Code::kAmbiguousJob:
      return 3;
    case Code::kNotSignedIn:
    case Code::kDenied:
    case Code::kRevoked:
    case Code::kExpired:
    case Code::kTokenSpent:
    case Code::kPinMismatch:
    case Code::kKeyExposed:
    case Code::kRefusedByNode:
      return 4;
    case Code::kControllerDown:
    case Code::kLinkLost:
      return 5;
    case Code::kConflict:
    case Code::kBusy:
      return 6;
    case Code::kIncomplete:
      return kExitIncomplete;
    case Code::kNodeOffline:
    case Code::kProtocol:
    case Code::kVersion:
    case Code::kLimit:
    case Code::kNotFoundExec:
    case Code::kNotExecutable:
    case Code::kOutcomeUnknown:
    case Code::kTimeout:
    case Code::kIo:
    case Code::kStore:
    case Code::kDependency:
    case Code::kQueueTimeout:
    case Code::kLeft:
    case Code::kInterrupted:
    case Code::kInternal:
      return 1;
  }
  return 1;
}

}  // namespace rexec::cli
