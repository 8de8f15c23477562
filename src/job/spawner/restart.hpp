// Whether an attempt that ended is followed by another one, and when. Pure: a function of the
// policy, of how the attempt ended and of what its directory says, so that a spawner that was
// killed decides the same again. Called by the spawner (attempts_restart.cpp) and by nobody else:
// net and controller are told.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "src/base/clock.hpp"
#include "src/job/spec/record.hpp"
#include "src/job/spec/spec.hpp"

namespace rexec::job {

// What the directory of an attempt says beside spec and record.
struct RestartHistory {
  std::uint32_t streak = 0;  // attempts in a row, before this one, that did not run for kHealthy
  bool halted = false;       // a person wants no further attempt
};

struct NextAttempt {
  std::uint32_t attempt = 0;
  std::uint64_t at_ms = 0;   // wall clock; may be past
  std::uint32_t streak = 0;  // for the next attempt's history
};

// So long a run was healthy: the next pause is the first again.
inline constexpr std::uint64_t kHealthyMs = 600'000;
inline constexpr std::uint64_t kFirstPauseMs = 1'000;
inline constexpr std::uint64_t kLongestPauseMs = 300'000;

// Did the attempt fail? Everything but a clean exit 0: another code, a signal, a timeout, a loss of
// its supervisor or machine, a start that did not come off. Not what a person or a lost reader
// stopped, nor what the node's owner does not allow: those end the job under every policy.
enum class Verdict : std::uint8_t { kSucceeded, kFailed, kEnded };
Verdict judge_attempt(const EndRecord& record);

// nullopt: the job is over.
std::optional<NextAttempt> next_attempt(const RestartPolicy& policy, const EndRecord& record,
                                        const RestartHistory& history);

// 1 s, 2 s, 4 s … 5 min, each up to a tenth longer or shorter: by the attempt's own name, so that a
// fleet of jobs that failed together does not come back together and the answer is always the same.
std::uint64_t pause_before_next(const AttemptKey& ended, std::uint32_t streak);

}  // namespace rexec::job
