#include "src/controller/state/ended_jobs.hpp"

#include <algorithm>
#include <utility>

#include "src/base/log.hpp"
#include "src/base/text.hpp"
#include "src/controller/state/housekeeping.hpp"

namespace rexec::controller {
namespace {

// In one operation, because commits wait for it: some 10 ms, or 30 where every job's places in the
// indices are on pages of their own.
constexpr std::size_t kSummedAtOnce = 500;
constexpr std::size_t kDroppedAtOnce = 100;
// And so much more as its last job has: every page of a large command is read when it goes.
constexpr std::uint64_t kBytesAtOnce = 16 << 20;
constexpr Millis kAgain = std::chrono::minutes(1);  // after an error

}  // namespace

void EndedJobs::start(EndedLimits limits) {
  ledger_ = EndedLedger(limits);
  hub_.ask<std::uint64_t>(
      [](store::Database& db) -> Result<std::uint64_t> { return store::used_bytes(db); },
      [this](const Result<std::uint64_t>& used) {
        // Not known: then it is added up.
        database_has(used ? *used : ~std::uint64_t{0} / 2);
      });
}

void EndedJobs::database_has(std::uint64_t used) {
  ledger_.database_has(used);
  look();
}

void EndedJobs::ended(const store::EndedJob& job) {
  ledger_.ended(job);
  look();
}

void EndedJobs::command_kept(const store::EndedJob& job) {
  ledger_.command_kept(job);
  look();
}

void EndedJobs::freed(const std::vector<store::FreedJob>& freed) {
  for (const store::FreedJob& one : freed) ledger_.freed(one);
}

void EndedJobs::look() {
  if (is_working_) return;
  if (ledger_.wants_sum()) return sum();
  if (const auto next = ledger_.next_drop()) return drop(*next);
  say();
}

void EndedJobs::failed(const Error& error) {
  log_warn("what ended jobs take of the disk cannot be kept within its limits, trying again",
           {{"why", error.message}});
  hub_.after(kAgain, [this] {
    is_working_ = false;
    look();
  });
}

void EndedJobs::sum() {
  using Jobs = std::vector<store::EndedJob>;
  is_working_ = true;
  ledger_.begin_sum();
  hub_.ask<Jobs>(
      [after = ledger_.summed_to()](store::Database& db) -> Result<Jobs> {
        return store::list_ended_jobs(db, after, kSummedAtOnce);
      },
      [this](const Result<Jobs>& jobs) {
        if (!jobs) return failed(jobs.error());
        const bool is_last = jobs->size() < kSummedAtOnce;
        ledger_.sum(*jobs, is_last ? EndedLedger::Page::kLast : EndedLedger::Page::kMore);
        is_working_ = false;
        look();
      });
}

void EndedJobs::drop(const EndedLedger::Drop& drop) {
  is_working_ = true;
  store::DropEnded which;
  which.owner = drop.owner;
  which.after = drop.after;
  which.bytes = std::min(drop.bytes, kBytesAtOnce);
  which.keyed = drop.keyed;
  which.limit = kDroppedAtOnce;
  hub_.ask<store::DroppedEnded>(
      [which](store::Database& db) mutable -> Result<store::DroppedEnded> {
        which.now = wall_now();
        which.keyed_before = which.now - Housekeeping::kKeepKeys;
        return store::drop_ended_jobs(db, which);
      },
      [this, drop](const Result<store::DroppedEnded>& step) {
        if (!step) return failed(step.error());
        hub_.forget_jobs(step->gone);
        ledger_.dropped(drop.owner, *step);
        count(drop, *step);
        is_working_ = false;
        look();
      });
}

void EndedJobs::count(const EndedLedger::Drop& drop, const store::DroppedEnded& step) {
  if (drop.owner != told_.owner || drop.why != told_.why) say();
  told_ = drop;
  jobs_ += step.gone.ids.size();
  commands_ += step.gone.freed.size() - std::min(step.gone.freed.size(), step.gone.ids.size());
}

// As often as a flood of jobs makes it true, but not more often than a log bears.
void EndedJobs::say() {
  if (jobs_ + commands_ == 0) return;
  const std::size_t jobs = std::exchange(jobs_, 0);
  const std::size_t commands = std::exchange(commands_, 0);
  const auto unsaid = log_.admit(BootClock::now());
  if (!unsaid) return;
  const auto* user = hub_.user(told_.owner.text);
  const bool is_one = told_.why == EndedLedger::Why::kOneUser;
  const EndedLimits& limits = ledger_.limits();
  log_info(is_one ? "a user's ended jobs take more than " + format_size(limits.each) +
                        " of the disk: the oldest are dropped"
                  : "the ended jobs of all users take more than " + format_size(limits.all) +
                        " of the disk: the oldest of the user who has most are dropped",
           {{"user", user == nullptr ? told_.owner.text : user->name},
            {"jobs", std::to_string(jobs)},
            {"commands_of_kept_jobs", std::to_string(commands)},
            {"lines_not_written", std::to_string(*unsaid)}});
}

}  // namespace rexec::controller
