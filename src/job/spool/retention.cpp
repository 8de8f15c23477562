// See retention.hpp.
#include "src/job/spool/retention.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>

#include "src/job/spool/attempt_dir.hpp"

namespace rexec::job {
namespace {

// In the order in which they go.
enum class Rank : std::uint8_t { kRead, kLarge, kSmallForeground, kSmallDetached };
constexpr std::array kRanks{Rank::kRead, Rank::kLarge, Rank::kSmallForeground,
                            Rank::kSmallDetached};

Rank rank_of(const Kept& kept) {
  if (kept.read) return Rank::kRead;
  // What is beside no output is worth less than any output.
  if (kept.output > kSmallOutput || kept.output == 0) return Rank::kLarge;
  return kept.is_foreground ? Rank::kSmallForeground : Rank::kSmallDetached;
}

class Choice {
 public:
  explicit Choice(const std::vector<Kept>& kept) {
    for (const Kept& one : kept) total_ += one.output + one.beside + one.rest;
  }
  std::uint64_t total() const { return total_; }
  void give_up_output(Kept& kept, GivenUp why) {
    total_ -= std::exchange(kept.output, 0) + std::exchange(kept.beside, 0);
    going_[kept.key] = {kept.key, Part::kOutput, why};
  }
  void give_up_all(Kept& kept, GivenUp why) {
    give_up_output(kept, why);
    total_ -= std::exchange(kept.rest, 0);
    going_[kept.key].part = Part::kAll;
  }
  std::vector<Going> take() const {
    std::vector<Going> out;
    for (const auto& [key, going] : going_) out.push_back(going);
    return out;
  }

 private:
  std::uint64_t total_ = 0;
  std::map<AttemptKey, Going> going_;
};

using Ones = std::vector<Kept*>;  // oldest first

void give_up_outputs(Choice& choice, Rank rank, Ones of, std::uint64_t down_to) {
  if (rank == Rank::kRead)
    std::ranges::sort(
        of, {}, [](const Kept* one) { return std::tuple(~one->output, one->reported, one->key); });
  for (Kept* one : of)
    if (choice.total() > down_to && one->output + one->beside > 0)
      choice.give_up_output(*one, GivenUp::kRoom);
}

void give_up_notes(Choice& choice, const Ones& of, std::uint64_t down_to) {
  for (Kept* one : of)
    if (choice.total() > down_to) choice.give_up_all(*one, GivenUp::kRoom);
}

// So that those of many runs never take the place of output that somebody may still want.
void give_up_notes_beyond_share(Choice& choice, const std::map<Rank, Ones>& notes,
                                const RetentionLimits& limits) {
  const auto all = notes.find(Rank::kLarge);
  if (all == notes.end()) return;
  Ones only;
  std::ranges::copy_if(all->second, std::back_inserter(only),
                       [](const Kept* one) { return one->output == 0; });
  std::uint64_t share = 0;
  for (const Kept* one : only) share += one->rest;
  for (Kept* one : only) {
    if (share <= limits.notes || choice.total() <= limits.down_to) return;
    share -= one->rest;
    choice.give_up_all(*one, GivenUp::kRoom);
  }
}

void make_room(Choice& choice, std::map<Rank, Ones>& outputs, std::map<Rank, Ones>& notes,
               const RetentionLimits& limits) {
  for (const Rank rank : kRanks) {
    if (choice.total() <= limits.bytes) return;
    give_up_outputs(choice, rank, outputs[rank], limits.down_to);
    if (choice.total() <= limits.bytes) return;
    if (rank == Rank::kRead)
      give_up_notes_beyond_share(choice, notes, limits);
    else
      give_up_notes(choice, notes[rank], limits.down_to);
  }
}

}  // namespace

RetentionLimits limits_of(std::uint64_t bytes, Millis read) {
  RetentionLimits limits;
  limits.bytes = bytes;
  limits.down_to = bytes - bytes / 32;
  limits.read = read;
  limits.notes = bytes / 16;
  return limits;
}

bool counts_as_read(const JobSpec& spec, const EndRecord& record) {
  return spec.forward_stdin && !spec.tty && record.reason == kClientEnded;
}

std::optional<WallTime> due_when_read(const Kept& kept, const RetentionLimits& limits) {
  if (!kept.read || kept.output <= kSmallOutput) return std::nullopt;
  return *kept.read + limits.read;
}

std::vector<Going> choose_going(std::vector<Kept> kept, const RetentionLimits& limits,
                                WallTime now) {
  std::ranges::sort(kept, {}, [](const Kept& k) { return std::tie(k.reported, k.key); });
  Choice choice(kept);
  std::map<Rank, Ones> outputs, notes;
  for (Kept& one : kept) {
    const auto due = due_when_read(one, limits);
    // Before anything is given up: then it has an output still.
    const Rank rank = rank_of(one);
    if (now - one.reported > limits.age) {
      choice.give_up_all(one, GivenUp::kNot);
      continue;
    }
    outputs[rank].push_back(&one);
    notes[std::max(rank, Rank::kLarge)].push_back(&one);
    if (due && *due <= now) choice.give_up_output(one, one.read_as);
  }
  make_room(choice, outputs, notes, limits);
  return choice.take();
}

std::vector<Going> with_predecessors(const std::vector<Going>& going,
                                     const std::vector<AttemptKey>& all) {
  std::set<AttemptKey> left(all.begin(), all.end());
  const auto is_followed = [last = left](const AttemptKey& key) {
    const auto next = last.upper_bound(key);
    return next != last.end() && next->job == key.job;
  };
  std::vector<Going> out;
  for (const Going& one : going) {
    auto at = left.lower_bound({one.key.job, 0});
    while (at != left.end() && *at < one.key) {
      out.push_back({*at, Part::kAll, one.why});
      at = left.erase(at);
    }
    if (at == left.end() || *at != one.key) continue;
    left.erase(at);
    out.push_back({one.key, is_followed(one.key) ? Part::kAll : one.part, one.why});
  }
  return out;
}

bool tells_of_it(std::string_view name) {
  constexpr std::array<std::string_view, 7> kNames{"exit", "meta", "reported", "read",
                                                   "left", "halt", "."};
  return std::ranges::find(kNames, name) != kNames.end();
}

std::vector<std::string> files_of_output(int dir_fd) {
  std::vector<std::pair<blkcnt_t, std::string>> files;
  for (std::string& name : list_directory(dir_fd)) {
    struct stat status{};
    if (tells_of_it(name)) continue;
    ::fstatat(dir_fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW);
    files.emplace_back(status.st_blocks, std::move(name));
  }
  std::ranges::sort(files);
  std::vector<std::string> names;
  for (auto& [blocks, name] : files) names.push_back(std::move(name));
  return names;
}

Kept measure_attempt(const AttemptKey& key, int dir_fd) {
  Kept kept{.key = key};
  struct stat status{};
  // To the millisecond, so that nothing goes before its time.
  const auto written = [&status] {
    return WallTime(std::chrono::ceil<Millis>(std::chrono::seconds(status.st_mtim.tv_sec) +
                                              Nanos(status.st_mtim.tv_nsec)));
  };
  const auto look = [&](const char* name) {
    return ::fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
  };
  if (!look("reported")) return kept;
  kept.reported = written();
  if (look("read")) kept.read = written();
  std::vector<std::string> names = list_directory(dir_fd);
  names.emplace_back(".");
  for (const std::string& name : names) {
    std::uint64_t& part = tells_of_it(name)          ? kept.rest
                          : name.starts_with("out.") ? kept.output
                                                     : kept.beside;
    if (look(name.c_str())) part += static_cast<std::uint64_t>(status.st_blocks) * 512;
  }
  if (!kept.read && kept.output > kSmallOutput && look("left")) {
    kept.read = written();
    kept.read_as = GivenUp::kClientEnded;
  }
  return kept;
}

}  // namespace rexec::job
