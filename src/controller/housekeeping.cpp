#include "src/controller/housekeeping.hpp"

#include <algorithm>

#include "src/base/log.hpp"

namespace rexec::controller {
namespace {

constexpr Millis kEvery = std::chrono::hours(1);
constexpr Millis kAtLeast = std::chrono::seconds(1);
// In one transaction: a long one would hold up the jobs of the moment.
constexpr std::size_t kJobsAtOnce = 2000;

}  // namespace

Housekeeping::Housekeeping(Hub& hub, Millis keep_jobs)
    : hub_(hub), keep_jobs_(keep_jobs), timer_(hub.context().get_executor()) {}

void Housekeeping::start() {
  timer_.arm(std::clamp(keep_jobs_, kAtLeast, kEvery), [this] { sweep(); });
}

void Housekeeping::sweep() {
  const WallTime now = wall_now();
  hub_.ask<std::vector<JobId>>(
      [now, before = now - keep_jobs_](store::Database& db) -> Result<std::vector<JobId>> {
        store::prune_tokens(db, now);
        store::prune_certificates(db, now);
        auto jobs = store::prune_jobs(db, before, kJobsAtOnce);
        store::prune_specs(db);
        return jobs;
      },
      [this](Result<std::vector<JobId>> gone) {
        if (!gone) {
          log_warn("old records cannot be dropped", {{"why", gone.error().message}});
          return start();
        }
        hub_.jobs().remove(*gone);
        if (!gone->empty()) log_info("old jobs dropped", {{"count", std::to_string(gone->size())}});
        gone->size() == kJobsAtOnce ? sweep() : start();
      });
}

}  // namespace rexec::controller
