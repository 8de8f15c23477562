// Ends by the controller's own word: of a job that was cancelled, refused, denied or given up. A
// node tells the end of what it ran until that is taken; of these nobody tells again. So they are
// written until they are on the disk, and whoever waits for one hears of it then: what was told is
// so after a crash too. Should a node run such a job all the same, it is to stop. Part of the hub.
#include "src/controller/state/hub.hpp"

namespace rexec::controller {
namespace {

constexpr Millis kWriteAgain{5'000};  // on a full disk; there may be very many

}  // namespace

void Hub::tell_end(const JobId& id, const Dispatcher::Watchers& watchers) {
  for (const auto& [number, watcher] : watchers) watcher.on_over();
  tell_final(id);
}

// Who ordered it hears of the first try's trouble; the order that was kept for it goes with it.
void Hub::keep_end(const Job& job, SharedWatchers watchers,
                   std::move_only_function<void(Result<void>)> done) {
  const JobId id = job.key.job;
  save(job, [this, id, watchers, done = std::move(done)](const Result<void>& saved) mutable {
    if (done) done(saved);
    const auto still = jobs_.share(id);
    if (saved || !still) {
      if (still && still->stop) forget_stop(id);
      return tell_end(id, *watchers);
    }
    after(kWriteAgain, [this, still, watchers] { keep_end(*still, watchers, {}); });
  });
}

void Hub::when_end_kept(const Job& job, std::move_only_function<void(Result<void>)> done) {
  if (!done) return;
  if (!job.ended_here() || jobs_.is_end_kept(job.key.job)) return done({});
  save(job, std::move(done));
}

void Hub::end_without_command(const std::vector<JobId>& ids) {
  for (const JobId& id : ids) {
    const auto job = jobs_.share(id);
    if (!job || !job->is_bare() || dispatcher_.is_held(id)) continue;
    wire::Map record = record_without_run(*job, "not_started", 125, "disconnect");
    record["message"] =
        "the controller was restarted before the node had it, and its client did not come back";
    finished(*job, std::move(record), {});
  }
}

// "lost" means that nobody knew: such a job goes on.
void Hub::stop_stray(const Job& job, std::uint32_t attempt) {
  if (!job.ended_here() || wire::text_or(*job.record, "outcome") == "lost") return;
  const Node* node = registry_.find(job.node);
  if (node == nullptr) return;
  ask_node(*node, "job.stop", {{"job", job.key.job.text}, {"attempt", attempt}},
           [](const Result<wire::Map>&) {});
}

}  // namespace rexec::controller
