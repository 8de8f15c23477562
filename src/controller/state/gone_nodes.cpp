// The jobs of nodes that are gone, removed or replaced: nobody will report them any more, so they
// end here; and who may still have what they wrote. Part of the hub.
#include <set>

#include "src/controller/state/hub.hpp"

namespace rexec::controller {

void Hub::end_jobs_of_gone(const NodeId& id) {
  // What waits for one of them is not sent there because that one ends.
  dispatcher_.without_turns([&] {
    dispatcher_.node_changed(id, Presence::kOffline);
    for (Job* job : jobs_.unfinished_on(id)) {
      const bool is_unsent = dispatcher_.is_held(job->key.job) || job->is_uncommitted;
      finished(*job,
               is_unsent ? record_without_run(*job, "not_started", 125, "node_removed")
                         : record_without_run(*job, "lost", 121, "node_removed"),
               {});
    }
  });
}

void Hub::end_jobs_of_gone_nodes() {
  std::set<NodeId> gone;
  for (const auto& [place, job] : jobs_.newest_first())
    if (!job->is_final() && registry_.find(job->node) == nullptr) gone.insert(job->node);
  for (const NodeId& id : gone) end_jobs_of_gone(id);
}

Node* Hub::holder_of(const Job& job) {
  Node* node = registry_.find(job.node);
  return node != nullptr ? node : registry_.find_by_name(job.node_name);
}

Node* Hub::output_holder(const Job& job) {
  Node* holder = holder_of(job);
  if (holder == nullptr || !job.may_have_run()) return nullptr;
  // Nobody waits for the node of a lost job to come back, but what it has now may be had.
  const bool is_gone = holder->id != job.node;
  if (job.ended_here() && (!is_gone || holder->link == nullptr)) return nullptr;
  return holder;
}

std::string Hub::why_unreachable(const Job& job) {
  if (!job.may_have_run()) return {};
  if (registry_.find(job.node) != nullptr) return "forgotten";
  return holder_of(job) == nullptr ? "removed" : "replaced";
}

}  // namespace rexec::controller
