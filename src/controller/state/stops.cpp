// A stop that was accepted: it is on the disk before anybody is told, goes to the job's node as
// soon as that is there, again at every return of the node, and is forgotten when the job has
// ended. So it outlives a node that is away and a restart of the controller. Part of the hub.
#include "src/store/tables/stops.hpp"

#include <csignal>
#include <utility>

#include "src/base/fail_point.hpp"
#include "src/controller/state/hub.hpp"

namespace rexec::controller {
namespace {

constexpr Millis kStopAgain = std::chrono::seconds(5);

// Of a node that was told to stop a job: a supervisor that does not answer for a moment, a table
// that is full.
bool passes(Code code) {
  return code == Code::kBusy || code == Code::kTimeout || code == Code::kIo || code == Code::kLimit;
}

}  // namespace

void Hub::order_stop(const std::shared_ptr<Job>& job, std::optional<std::uint64_t> grace_ms,
                     const std::string& actor, Ordered ordered) {
  const auto when_kept = [job, ordered](const Result<void>& kept) {
    if (!kept) return ordered(std::unexpected(kept.error()));
    ordered(job_to_map(*job));
  };
  if (job->is_final()) return when_end_kept(*job, when_kept);
  if (dispatcher_.is_held(job->key.job))  // no node has heard of it
    return dispatcher_.cancel(*job, SIGTERM, actor, when_kept);
  post(
      [actor, id = job->key.job, grace_ms](store::Database& db) {
        store::put_stop(db, {id, grace_ms});
        store::append_audit(db, wall_now(), {actor, "job.stop", "job/" + id.text, ""});
      },
      [this, job, grace_ms, actor, when_kept,
       ordered = std::move(ordered)](const Result<void>& saved) {
        if (!saved) return ordered(std::unexpected(saved.error()));
        if (job->is_final()) {  // meanwhile
          forget_stop(job->key.job);
          return when_end_kept(*job, when_kept);
        }
        job->stop = PendingStop{grace_ms};
        // Its submit was being committed when the order came, and now it waits.
        if (dispatcher_.is_held(job->key.job))
          return dispatcher_.cancel(*job, SIGTERM, actor, when_kept);
        deliver_stop(job, ordered);
      });
}

// A crash may have come between the commit of such an order and that of the end.
void Hub::cancel_stopped(const std::vector<store::StopRow>& stops) {
  for (const auto& row : stops)
    if (dispatcher_.is_held(row.job))
      dispatcher_.cancel(*jobs_.find(row.job), SIGTERM, "controller", {});
}

// To a node that is there; else when it is back.
void Hub::deliver_stop(const std::shared_ptr<Job>& job, const Ordered& ordered) {
  const Node* node = registry_.find(job->node);
  if (node == nullptr) return ordered(job_to_map(*job));
  wire::Map order{{"job", job->key.job.text}, {"attempt", job->key.attempt}};
  if (job->stop && job->stop->grace_ms) order["grace_ms"] = *job->stop->grace_ms;
  ask_node(*node, "job.stop", std::move(order),
           [this, job, ordered](const Result<wire::Map>& answer) {
             stop_answered(job, answer, ordered);
           });
  fail_point(FailPoint::kControllerStopSent);
}

void Hub::stop_answered(const std::shared_ptr<Job>& job, const Result<wire::Map>& answer,
                        const Ordered& ordered) {
  if (job->is_final()) return ordered(job_to_map(*job));
  if (!answer && answer.error().code == Code::kLinkLost) return ordered(job_to_map(*job));
  // The node knows nothing of it and is told nothing more: it will never start.
  if (!answer && answer.error().code == Code::kUnknownJob && job->state != JobState::kRunning) {
    withdraw(*job);
    wire::Map record = record_without_run(*job, "stopped", 128 + SIGTERM, "stop");
    record["signal"] = SIGTERM;
    finished(*job, std::move(record), {});
    return ordered(job_to_map(*job));
  }
  if (!answer && !passes(answer.error().code)) {
    job->stop.reset();
    forget_stop(job->key.job);
    return ordered(answer);
  }
  if (!answer) {
    node_log_.say(LogLevel::kWarn, NodeNews::kStops, job->node,
                  "a node cannot stop a job now, it is told again",
                  {{"job", job->key.job.text}, {"why", answer.error().message}});
    return tell_stop_again(job, ordered);
  }
  // It is being ended there: who asked waits for that, for as long as he is there.
  ordered(wire::Map{{"taken", true}});
}

// Who asked first waits for what comes of it.
void Hub::tell_stop_again(const std::shared_ptr<Job>& job, const Ordered& ordered) {
  if (!job->stop || std::exchange(job->stop->is_told_again, true))
    return ordered(fail(Code::kBusy, "node \"" + job->node_name + "\" cannot stop the job now",
                        "the order is kept, and the node is told again"));
  after(kStopAgain, [this, job, ordered] {
    if (job->is_final() || !job->stop) return ordered(job_to_map(*job));
    job->stop->is_told_again = false;
    deliver_stop(job, ordered);
  });
}

void Hub::forget_stop(const JobId& job) {
  post([job](store::Database& db) { store::remove_stop(db, job); }, {}, store::Urgency::kBehind);
}

}  // namespace rexec::controller
