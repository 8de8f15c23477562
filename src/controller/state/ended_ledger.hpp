// How much of the controller's disk each user's ended jobs take, whether that is too much, and
// whose oldest are to go. Pure. At first the database's size is the bound for everybody, and no job
// is looked at by itself. When that passes a limit, each job is looked at once (sum), and from then
// on a job that ends or goes is added or taken off. Used by ended_jobs.*.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>

#include "src/store/tables/drop_ended.hpp"

namespace rexec::controller {

struct EndedLimits {
  std::uint64_t each = 0;  // for the ended jobs of one user
  std::uint64_t all = 0;   // for those of all users together
};
// For a data directory on a file system of `disk` bytes; `keep_bytes`: as somebody configured it.
EndedLimits ended_limits(std::uint64_t disk, std::optional<std::uint64_t> keep_bytes);

class EndedLedger {
 public:
  explicit EndedLedger(EndedLimits limits) : limits_(limits) {}

  // How an operation that is posted now learns of the jobs that it ends.
  store::Measure measure();
  void database_has(std::uint64_t used);
  // Whenever a commit says so, in the order of the commits, the pages of the sum among them.
  void ended(const store::EndedJob& job);
  void command_kept(const store::EndedJob& job);  // it had ended; its command is there again
  void freed(const store::FreedJob& freed);

  // It is time to look at every job. Then pages follow, each of the jobs after summed_to(). What is
  // posted after the first was asked for is measured: that page may be the last and without it.
  bool wants_sum() const;
  void begin_sum() { phase_ = Phase::kSumming; }
  store::EndPlace summed_to() const { return summed_to_; }
  enum class Page { kMore, kLast };
  void sum(std::span<const store::EndedJob> jobs, Page page);

  enum class Why { kOneUser, kAllUsers };
  struct Drop {
    Why why{};
    UserId owner;
    store::EndPlace after;
    std::uint64_t bytes = 0;
    store::Keyed keyed{};
  };
  // What is to go next; nullopt: nothing is, or nothing can.
  std::optional<Drop> next_drop();
  // What came of it, when its `freed` were told.
  void dropped(const UserId& owner, const store::DroppedEnded& step);

  const EndedLimits& limits() const { return limits_; }
  std::uint64_t used(const UserId& user) const;
  std::uint64_t used_by_all() const { return all_; }

 private:
  enum class Phase { kBounded, kSumming, kSummed };
  struct User {
    std::uint64_t bytes = 0;
    store::EndPlace after;                  // none of his that may go ended up to here
    std::optional<store::EndPlace> before;  // the first that stayed for its key ended after this
    store::Keyed keyed = store::Keyed::kStay;
    bool is_dropping = false;            // until there is some room again
    std::optional<std::uint64_t> stuck;  // so much was left when nothing could go any more
  };
  bool is_counted(store::EndPlace place) const;
  void change(const std::string& user, std::uint64_t plus, std::uint64_t minus);
  void charge_spec(const store::EndedJob& job);
  bool is_stuck(const User& user) const;
  std::uint64_t low_of_one() const { return limits_.each - limits_.each / kSlack; }
  std::uint64_t low_of_all() const { return limits_.all - limits_.all / kSlack; }
  Drop drop_of(Why why, const std::string& user, std::uint64_t bytes) const;
  std::optional<Drop> drop_for_all();

  // Once a limit is passed a part of it is freed at once, so that the next job passes none.
  static constexpr std::uint64_t kSlack = 32;

  EndedLimits limits_;
  Phase phase_ = Phase::kBounded;
  std::uint64_t bound_ = 0;     // kBounded: of the database at the last look
  std::size_t operations_ = 0;  // that ended jobs while it was far from a limit
  store::EndPlace summed_to_;
  std::uint64_t all_ = 0;
  bool is_dropping_for_all_ = false;
  std::unordered_map<std::string, User> users_;
  std::set<std::pair<std::uint64_t, std::string>> by_bytes_;
  std::unordered_map<std::uint64_t, std::string> specs_;  // large commands, and who is charged
};

}  // namespace rexec::controller
