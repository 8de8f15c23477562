// A job of several attempts: one ended and another follows, or has begun. Which, when and whether
// at all is the node's decision (job/spawner/restart); here it is written down. Part of the hub.
#include "src/controller/state/hub.hpp"
#include "src/store/tables/attempts.hpp"

namespace rexec::controller {
namespace {

constexpr std::uint64_t kLastGraceMs = 5000;  // as `rexec stop` gives

}  // namespace

void Hub::keep_attempt(const AttemptKey& key, const wire::Map& record) {
  store::AttemptRow row{key.job, key.attempt,
                        record.dump(-1, ' ', false, wire::Map::error_handler_t::replace)};
  post([row = std::move(row)](store::Database& db) { store::put_attempt(db, row); }, {},
       store::Urgency::kBehind);
}

void Hub::attempt_ended(Job& job, const AttemptKey& key, const wire::Map& record, WallTime next,
                        std::move_only_function<void(Result<void>)> done) {
  keep_attempt(key, record);
  if (!JobTable::apply_restarting(job, key, next)) {
    if (done) post([](store::Database&) {}, std::move(done));
    return;
  }
  save(job, std::move(done));
  end_restarts(job);
}

void Hub::end_restarts(const Job& job) {
  if (job.is_final() || !job.next_attempt || is_live_user(job.owner)) return;
  const Node* node = registry_.find(job.node);
  // One that is away is told when it is back: it names the job then.
  if (node == nullptr || node->link == nullptr) return;
  ask_node(*node, "job.stop",
           {{"job", job.key.job.text}, {"attempt", job.key.attempt}, {"grace_ms", kLastGraceMs}},
           [](const Result<wire::Map>&) {});
}

void Hub::attempt_began(Job& job, std::uint32_t attempt, WallTime started) {
  if (job.is_final() && attempt > job.key.attempt) return stop_stray(job, attempt);
  if (JobTable::apply_attempt(job, attempt, started)) save(job, {});
}

}  // namespace rexec::controller
