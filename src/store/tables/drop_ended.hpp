// Dropping the oldest of one user's ended jobs, so that what he has left takes less of the disk. A
// part at a time: commits wait for it. Who has too much is the controller's to know
// (src/controller/state/ended_ledger).
#pragma once

#include <optional>

#include "src/base/clock.hpp"
#include "src/store/tables/ended_bytes.hpp"
#include "src/store/tables/jobs.hpp"

namespace rexec::store {

// Jobs with a key of their own that somebody may come back with.
enum class Keyed {
  kStay,  // without their commands, where no other job has these
  kGo,    // the key is kept, so that it starts no second job: see removed_keys.hpp
};

struct DropEnded {
  UserId owner;
  EndPlace after;         // those that ended after this place are looked at
  std::uint64_t bytes{};  // no more than it takes to have so many freed
  Keyed keyed = Keyed::kStay;
  WallTime keyed_before;  // a job with a key that ended before goes like any other
  WallTime now;
  std::size_t limit = 500;
  std::size_t most_looked_at = 4096;  // of all users' jobs
};

struct DroppedEnded {
  Pruned gone;                     // `freed` has the commands that went alone, too
  EndPlace next;                   // all up to here were looked at
  bool is_last = false;            // there are none after it
  std::optional<EndPlace> before;  // the first that stayed for its key ended after this
};

DroppedEnded drop_ended_jobs(Database& db, const DropEnded& which);

}  // namespace rexec::store
