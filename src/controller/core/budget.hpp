// What one user may take of what all need: the limits, in one place with their reasons, and who has
// how much of each. Pure, and of one thread: where that made the budget its shares come and go (a
// debug build checks it). They hold for a user, whatever the number of his sessions, and what he
// takes is his until its Share is gone: a session's shares go with it, a job's with its start or
// end. Beside each user's limit there is one for all together; when that is reached, only those are
// refused who have more than an equal part of it, so nobody's use keeps another from his.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

#include "src/base/error.hpp"
#include "src/base/ids.hpp"

namespace rexec::controller {

enum class Resource : std::uint8_t {
  kSessions,
  kRequests,     // that have no answer yet
  kUploads,      // bytes of commands whose submit is not complete
  kJobs,         // that have not ended
  kSpecs,        // bytes of commands whose jobs no node has started yet
  kKeptSpecs,    // bytes of commands whose jobs have not ended: on the disk
  kAttachments,  // that are open, or wait for their node or their job
  kWindows,      // bytes that their readers may leave unread
  kSchedules,
  kScheduleSpecs,  // bytes of the schedules' commands
  kNodeWaits,      // nodes that `node wait` waits for, each as often as it is waited for
};
inline constexpr std::size_t kResources = 11;

struct Limit {
  std::uint64_t each;  // for one user
  std::uint64_t all;   // together
};

// Machines run what hundreds of people and their scripts ask for at once; what is refused here is
// what no honest day needs.
inline constexpr std::array<Limit, kResources> kLimits{{
    // 100 kB and a descriptor each; a script that runs a thousand commands side by side works.
    {1'000, 8'000},
    // `wait` of ten thousand jobs at once. A few hundred bytes each.
    {16'384, 131'072},
    // A DAG has 16 MiB at most, a command 4 MiB: sixteen of these come side by side.
    {64ULL << 20, 256ULL << 20},
    // A night's work of 100,000 that wait, and half as many that run. About 2 kB each.
    {150'000, 600'000},
    // Thirty-two of the largest commands, or 1.3 kB for each of 100,000.
    {128ULL << 20, 512ULL << 20},
    // Sixty-four of the largest, or 1.7 kB for each of 150,000. What has ended has a limit of its
    // own: ended_limits().
    {256ULL << 20, 1ULL << 30},
    // Sixteen sessions with as many streams as each may have.
    {4'096, 32'768},
    // 256 readers with a whole window; the others get the least one, and go on more slowly.
    {256ULL << 20, 1ULL << 30},
    {10'000, 20'000},
    // 6 kB for each of 10,000.
    {64ULL << 20, 256ULL << 20},
    // Thirteen waits for a whole fleet of 5,000, or one for one node in each of 65,536 scripts. 250
    // bytes each.
    {65'536, 524'288},
}};

class Budget;

// So much of a resource, until it goes. Movable; what is empty has nothing.
class Share {
 public:
  Share() = default;
  Share(Share&& other) noexcept { swap(other); }
  Share& operator=(Share&& other) noexcept {
    Share(std::move(other)).swap(*this);
    return *this;
  }
  ~Share();
  std::uint64_t amount() const { return amount_; }

 private:
  friend class Budget;
  struct Usage;
  void swap(Share& other) noexcept;

  std::shared_ptr<Usage> usage_;  // outlives the budget: shares may be the last to go
  std::string user_;
  Resource what_{};
  std::uint64_t amount_ = 0;
};

class Budget {
 public:
  explicit Budget(std::array<Limit, kResources> limits = kLimits);
  // kLimit, with what there is of it, the limit, and what to do.
  Result<Share> take(const UserId& user, Resource what, std::uint64_t amount);
  // What exists already, as a stored job at the start: it counts and is never refused.
  Share hold(const UserId& user, Resource what, std::uint64_t amount);
  std::uint64_t used(const UserId& user, Resource what) const;
  std::uint64_t used_by_all(Resource what) const;
  // Still to be had by that user.
  std::uint64_t left(const UserId& user, Resource what) const;

 private:
  std::array<Limit, kResources> limits_;
  std::shared_ptr<Share::Usage> usage_;
};

}  // namespace rexec::controller
