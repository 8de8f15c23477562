// What a job that has ended takes of the disk: its row with its place in the indices, what is kept
// of its attempts and terms, and its command. The controller adds these up for each user
// (src/controller/state/ended_ledger) and has the oldest dropped (ended_jobs.hpp).
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <vector>

#include "src/base/ids.hpp"
#include "src/store/database/database.hpp"

namespace rexec::store {

// A command of this size or more counts once, however many jobs have it; a smaller one with each of
// its jobs, which their rows outweigh: nobody has to remember who has it.
inline constexpr std::uint64_t kLargeSpec = 4096;

// The place of a job in the order of the ends. The default is before all of them.
struct EndPlace {
  std::int64_t ended_ms = 0;
  std::int64_t row = 0;
  auto operator<=>(const EndPlace&) const = default;
};

struct EndedJob {
  UserId owner;
  EndPlace place;
  std::uint64_t bytes = 0;  // without a large command
  std::uint64_t spec = 0;   // 64 bits of the hash of its large command; 0: it has none
  std::uint64_t spec_bytes = 0;
};

// What went with a job, or with its command alone.
struct FreedJob {
  EndedJob job;
  UserId keeper;  // of another job with its large command; empty: that went too
};

// nullopt: it is not there, or has not ended.
std::optional<EndedJob> measure_ended_job(Database& db, const JobId& id);
// Those that ended after a place, the oldest end first.
std::vector<EndedJob> list_ended_jobs(Database& db, EndPlace after, std::size_t limit);
// Of all that the database has.
std::uint64_t used_bytes(Database& db);

// What an operation that writes ends learns of them. To measure a job takes a fifth of what its
// whole way through the controller takes: while the database is small, its size is enough.
enum class Measure { kNothing, kDatabase, kEachJob };
struct MeasuredEnds {
  struct One {
    JobId job;
    std::optional<EndedJob> size;  // kEachJob
  };
  std::vector<One> jobs;
  std::optional<std::uint64_t> used;  // kDatabase
};
// Of those that are there and have ended, at the end of the operation.
MeasuredEnds measure_ends(Database& db, const std::vector<JobId>& ended, Measure measure);

}  // namespace rexec::store
