// What is kept of the attempts that have ended, and for how long. See attempts.hpp.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "src/base/fail_point.hpp"
#include "src/job/attempts.hpp"
#include "src/job/retention.hpp"

namespace rexec::job {

void Attempts::reported(const link::Reported& reported) {
  const os::UniqueFd dir = open_dir(reported.key);
  if (!dir || read_state(dir.get()).state != AttemptState::kFinished) return;
  // It crossed a halt: that the job is over was not acknowledged yet.
  if (!reported.is_final && !next_of(dir.get())) return;
  fail_point(FailPoint::kSpawnerReporting);
  os::UniqueFd(::openat(dir.get(), "reported", O_WRONLY | O_CREAT | O_CLOEXEC, 0600)).reset();
  fail_point(FailPoint::kSpawnerReported);
}

void Attempts::forget_reports() {
  std::map<JobId, std::uint32_t> newest;  // the job's end; what came before it led there
  for (const AttemptKey& key : list()) newest[key.job] = std::max(newest[key.job], key.attempt);
  for (const auto& [job, attempt] : newest)
    if (const os::UniqueFd dir = open_dir({job, attempt})) ::unlinkat(dir.get(), "reported", 0);
}

void Attempts::remove(const AttemptKey& key) {
  for (const AttemptKey& other : key.attempt > 1 ? list() : std::vector<AttemptKey>{})
    if (other.job == key.job && other.attempt < key.attempt)
      (void)remove_directory(jobs_.get(), attempt_name(other));
  const os::UniqueFd dir = open_dir(key);
  if (!dir || read_state(dir.get()).state != AttemptState::kFinished) return;
  fail_point(FailPoint::kSpawnerRemoving);
  (void)remove_directory(jobs_.get(), attempt_name(key));
}

void Attempts::retire(WallTime now) {
  std::vector<Kept> kept;
  const std::vector<AttemptKey> all = list();
  for (const AttemptKey& key : all) {
    const os::UniqueFd dir = open_dir(key);
    if (!dir || !is_reported(dir.get()) || upcoming_.contains(key)) continue;
    kept.push_back(measure_attempt(key, dir.get()));
  }
  for (const AttemptKey& key : with_predecessors(choose_expired(std::move(kept), {}, now), all))
    (void)remove_directory(jobs_.get(), attempt_name(key));
}

}  // namespace rexec::job
