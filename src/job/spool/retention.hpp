// What goes of the attempts that have ended and were reported: all of one that is older than seven
// days, the output that its reader has had after a while, and what is beyond one gibibyte in total.
// The choice is a pure function; what was not reported is never chosen.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/clock.hpp"
#include "src/base/ids.hpp"
#include "src/job/spec/record.hpp"
#include "src/job/spec/spec.hpp"

namespace rexec::job {

struct Kept {
  AttemptKey key;
  std::uint64_t output = 0;  // bytes on disk of its output
  std::uint64_t beside = 0;  // of what is of no use without it
  std::uint64_t rest = 0;    // of what stays to tell of it
  WallTime reported;
  // When the run in the foreground that began it had received all of its output.
  std::optional<WallTime> read;
  GivenUp read_as = GivenUp::kRead;  // kClientEnded: it ended before that, see counts_as_read
  bool is_foreground = false;  // begun with a reader, else it was detached
};
struct RetentionLimits {
  std::uint64_t bytes = 1ULL << 30;
  // Beyond `bytes` so much goes that the next look is a while away: a look reads every directory.
  std::uint64_t down_to = bytes - bytes / 32;
  Millis age = kOutputKept;
  Millis read = std::chrono::seconds(30);
  // Of this the notes of output that is gone may take so much before large output goes.
  std::uint64_t notes = bytes / 16;
};

RetentionLimits limits_of(std::uint64_t bytes, Millis read);

enum class Part { kOutput, kAll };
struct Going {
  AttemptKey key;
  Part part = Part::kAll;
  GivenUp why = GivenUp::kNot;
  bool operator==(const Going&) const = default;
};

// Those that go now, each once. Beyond the total goes, in this order: output that was read, the
// largest first; of the notes of output that is gone or never was, what is beyond their share;
// large output; the other notes; small output of runs in the foreground; that of detached jobs; the
// oldest first, and all of one kind before anything of the next. What was read costs no other
// output its week, but for the notes within their share: they say why it is gone.
std::vector<Going> choose_going(std::vector<Kept> kept, const RetentionLimits& limits,
                                WallTime now);
// Of a run with stdin and without a terminal whose client ended nobody comes to read the output: it
// was a part of a dialogue. So a transport ends whose peer has all it wanted, such as the
// ProxyCommand of ssh.
bool counts_as_read(const JobSpec& spec, const EndRecord& record);
// When the output goes because it was read; nullopt when it is small or was not read.
std::optional<WallTime> due_when_read(const Kept& kept, const RetentionLimits& limits);

// The same with every earlier attempt of their jobs, in the order in which they may go: while an
// attempt is there the node believes that nothing follows it unless the next is there, too, and
// would begin that again. Of an attempt that another one follows all goes.
std::vector<Going> with_predecessors(const std::vector<Going>& going,
                                     const std::vector<AttemptKey>& all);

// Of a file in an attempt's directory: it stays when the output goes.
bool tells_of_it(std::string_view name);
// The files that go with the output, the largest last: of what a crash left half way the next look
// still sees that it is large, and gives up the rest.
std::vector<std::string> files_of_output(int dir_fd);
// The finished and reported attempt in this directory; nothing of it and reported at the epoch when
// it is not one.
Kept measure_attempt(const AttemptKey& key, int dir_fd);

}  // namespace rexec::job
