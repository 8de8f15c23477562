#include "src/controller/state/housekeeping.hpp"

#include <algorithm>

#include "src/base/log.hpp"
#include "src/store/tables/removed_jobs.hpp"

namespace rexec::controller {
namespace {

constexpr Millis kEvery = std::chrono::hours(1);
constexpr Millis kAtLeast = std::chrono::seconds(1);
// In one transaction: a long one would hold up the jobs of the moment.
constexpr std::size_t kJobsAtOnce = 500;

}  // namespace

Housekeeping::Housekeeping(Hub& hub, Millis keep_jobs) : hub_(hub), keep_jobs_(keep_jobs) {}

void Housekeeping::start() {
  hub_.after(std::clamp(keep_jobs_, kAtLeast, kEvery), [this] { sweep(); });
}

void Housekeeping::sweep() {
  const WallTime now = wall_now();
  const store::PruneJobs which{now - keep_jobs_, now - kKeepKeys, kJobsAtOnce};
  hub_.ask<store::Pruned>(
      [now, which](store::Database& db) -> Result<store::Pruned> {
        store::prune_tokens(db, now);
        store::prune_certificates(db, now);
        store::prune_removed_jobs(db, now - store::kKeepRemovedJobs);
        const store::Pruned old = store::prune_removed_keys(db, which.keyed_before, which.limit);
        store::Pruned gone = store::prune_jobs(db, which);
        gone.keys.insert(gone.keys.end(), old.keys.begin(), old.keys.end());
        gone.more = gone.more || old.more;
        return gone;
      },
      [this](Result<store::Pruned> gone) {
        if (!gone) {
          log_warn("old records cannot be dropped", {{"why", gone.error().message}});
          return start();
        }
        hub_.forget_jobs(*gone);
        if (!gone->ids.empty())
          log_info("old jobs dropped", {{"count", std::to_string(gone->ids.size())}});
        gone->more ? sweep() : start();
      });
}

}  // namespace rexec::controller
