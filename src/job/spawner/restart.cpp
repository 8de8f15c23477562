// See restart.hpp.
#include "src/job/spawner/restart.hpp"

#include <algorithm>

namespace rexec::job {
namespace {

// FNV-1a, 32 bits.
std::uint32_t name_hash(const AttemptKey& key) {
  std::uint32_t hash = 0x811c9dc5;
  const auto step = [&hash](std::uint32_t byte) { hash = (hash ^ byte) * 0x01000193; };
  for (const char c : key.job.text) step(static_cast<std::uint8_t>(c));
  for (int shift = 0; shift < 32; shift += 8) step((key.attempt >> shift) & 0xff);
  return hash;
}

std::uint64_t lasted_ms(const EndRecord& record) {
  if (record.started_ms == 0 || record.ended_ms < record.started_ms) return 0;
  return record.ended_ms - record.started_ms;
}

}  // namespace

Verdict judge_attempt(const EndRecord& record) {
  switch (record.outcome) {
    case Outcome::kExited:
      return record.code == 0 ? Verdict::kSucceeded : Verdict::kFailed;
    case Outcome::kSignaled:
    case Outcome::kTimeout:
    case Outcome::kLost:
    case Outcome::kNotStarted:
      return Verdict::kFailed;
    case Outcome::kStopped:
    case Outcome::kDenied:
    case Outcome::kUnreachable:
      break;
  }
  return Verdict::kEnded;
}

std::uint64_t pause_before_next(const AttemptKey& ended, std::uint32_t streak) {
  constexpr std::uint32_t kDoublings = 9;  // 512 s: beyond the longest
  const std::uint64_t pause =
      std::min(kFirstPauseMs << std::min(streak, kDoublings), kLongestPauseMs);
  const std::uint64_t spread = pause / 5;
  return pause - spread / 2 + name_hash(ended) % (spread + 1);
}

std::optional<NextAttempt> next_attempt(const RestartPolicy& policy, const EndRecord& record,
                                        const RestartHistory& history) {
  const Verdict verdict = judge_attempt(record);
  if (history.halted || verdict == Verdict::kEnded) return std::nullopt;
  if (policy.when == Restart::kNo) return std::nullopt;
  if (policy.when == Restart::kOnFailure && verdict == Verdict::kSucceeded) return std::nullopt;
  // Attempt 1 was no restart.
  if (policy.most != 0 && record.key.attempt > policy.most) return std::nullopt;
  const std::uint32_t streak = lasted_ms(record) >= kHealthyMs ? 0 : history.streak;
  return NextAttempt{record.key.attempt + 1,
                     record.ended_ms + pause_before_next(record.key, streak), streak + 1};
}

}  // namespace rexec::job
