// The end record of an attempt: what `exit` in the job directory holds, what END carries and what
// the status JSON of CLI.md shows. Plain data and its JSON; it decides nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "src/base/clock.hpp"
#include "src/base/error.hpp"
#include "src/base/ids.hpp"

namespace rexec::job {

enum class Outcome : std::uint8_t {
  kExited,
  kSignaled,
  kTimeout,
  kStopped,
  kLost,
  kUnreachable,
  kDenied,
  kNotStarted
};
std::string_view outcome_name(Outcome outcome);
Result<Outcome> outcome_from_name(std::string_view name);

// Why a job was stopped whose client said that its process ends: EndRecord::reason.
inline constexpr char kClientEnded[] = "client_ended";

// Output of at most so much is small: it stays its week though somebody has had it, so that `logs`
// after a short run has something to show.
inline constexpr std::uint64_t kSmallOutput = 64 << 10;

// So long a node keeps output that it does not give up before.
inline constexpr Millis kOutputKept = std::chrono::hours(7 * 24);

// Why the node does not keep the output any more, or that it does.
enum class GivenUp : std::uint8_t { kNot, kRead, kRoom, kClientEnded };
// "", "read", "room" or "client_ended".
std::string_view given_up_name(GivenUp why);
// kNot for any other.
GivenUp given_up_from_name(std::string_view name);

template <class T>
struct PerStream {
  T out{};
  T err{};
  bool operator==(const PerStream&) const = default;
};

struct EndRecord {
  std::string node;
  AttemptKey key;
  Outcome outcome = Outcome::kLost;
  int code = 121;  // as `rexec run` exits: 128+n when signalled, 124, 121, 125 … (CLI.md)
  int signal = 0;  // 0: none
  bool oom = false;
  PerStream<std::uint64_t> bytes;
  PerStream<std::string>
      xxh128;  // hex of XXH3-128 in canonical (big-endian) order; empty when unknown (lost)
  PerStream<std::string> sha256;  // hex; empty when not asked for
  bool complete = false;          // nothing was dropped and the end is known
  std::string reason;  // a word: reboot, supervisor, oom, disconnect, exec, workdir …; may be empty
  std::string message;  // for people: the errno text of a failed start; printable
  double wall_s = 0;
  double cpu_s = 0;
  std::uint64_t max_rss = 0;  // bytes
  std::uint32_t left_behind =
      0;  // processes that outlived the command and were ended (--children kill)
  PerStream<std::uint64_t> dropped;  // bytes that were dropped before any reader had them
  std::uint64_t started_ms = 0;      // wall clock, ms since 1970; 0: never started
  std::uint64_t ended_ms = 0;
  GivenUp given_up = GivenUp::kNot;  // the node's own note, written when the output goes
  std::uint64_t given_up_ms = 0;
  bool operator==(const EndRecord&) const = default;
};

// How a job ends that its node refused, by the refusal's code: by its owner's rules, or because it
// could not be begun.
struct RefusedEnd {
  Outcome outcome = Outcome::kNotStarted;
  int code = 125;
};
RefusedEnd end_of_refusal(Code code);

// One line, keys as in CLI.md, plus attempt, message, times, given_up. Written without a JSON
// library: the shim calls it.
std::string to_json(const EndRecord& record);
// At most 64 KiB. Unknown keys are ignored, missing ones keep their default; job, outcome and code
// must be there.
Result<EndRecord> record_from_json(std::string_view text);

}  // namespace rexec::job
