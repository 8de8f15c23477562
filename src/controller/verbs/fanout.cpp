#include "src/controller/verbs/fanout.hpp"

#include <algorithm>
#include <set>

#include "src/base/cut_text.hpp"
#include "src/base/fail_point.hpp"
#include "src/base/text.hpp"
#include "src/controller/state/dispatcher.hpp"

namespace rexec::controller {
namespace {

Job make_job(Hub& hub, const Plan& plan, const PartPlan& part, const Node& node) {
  Job job;
  job.key = {derive_job_id(plan.owner, part.request, node.id), 1};
  job.run = plan.run;
  job.node = node.id;
  job.node_name = node.name;
  job.owner = plan.owner;
  job.owner_name = plan.owner_name;
  job.request = part.request;
  job.spec_hash = part.spec_hash;
  job.command = part.command;
  job.is_detached = plan.is_detached;
  job.is_keyed = plan.is_keyed;
  job.created = wall_now();
  job.spec = part.spec;
  job.kept_spec = part.kept_spec;
  job.terms = part.terms;
  job.is_uncommitted = plan.is_durable;
  job.ticket =
      hub.tickets().seal({job.key, job.owner, job.node, job.request, job.run, job.created});
  return job;
}

struct Obtained {
  std::shared_ptr<Job> job;
  bool is_new = false;
};

// The job of this request on this node: a new one, or the one an earlier try made.
Obtained obtain(Hub& hub, const Plan& plan, const PartPlan& part, const Node& node) {
  const JobId id = derive_job_id(plan.owner, part.request, node.id);
  const auto known = hub.jobs().share(id);
  if (!known) {
    hub.add_job(make_job(hub, plan, part, node));
    return {hub.jobs().share(id), true};
  }
  if (known->spec_hash.empty()) {  // adopted from the node after a restart
    known->spec_hash = part.spec_hash;
    known->command = part.command;
    known->is_detached = plan.is_detached;
    known->is_keyed = plan.is_keyed;
  }
  if (!known->is_final() && known->state != JobState::kRunning) known->spec = part.spec;
  return {known, false};
}

// An attached job runs whether or not its spec is kept; a large one is not worth the writing.
constexpr std::size_t kMostKeptAttached = 64 << 10;

struct Write {
  std::vector<store::JobRow> rows;
  std::vector<store::TermsRow> terms;
  std::vector<std::pair<std::string, std::shared_ptr<const std::string>>> specs;
  store::AuditEntry audit;
  // Of jobs that had ended before: their rows may have gone meanwhile, and do not come back.
  std::set<JobId> ended_before;
};

store::AuditEntry audit_of(const Plan& plan, const std::vector<std::shared_ptr<Job>>& jobs) {
  const PartPlan& first = plan.parts.front();
  const std::string what = plan.parts.size() == 1
                               ? printable(cut_text(first.targets, 200)) + ": " + first.command
                               : std::to_string(plan.parts.size()) +
                                     " jobs after one another, from " + printable(first.name);
  return {"user/" + plan.owner.text + " " + plan.owner_name, "job.submit",
          jobs.size() == 1 ? "job/" + jobs.front()->key.job.text : "run/" + plan.run.text, what};
}

Write write_of(const Plan& plan, const std::vector<std::shared_ptr<Job>>& jobs,
               std::set<JobId> ended_before) {
  Write write;
  write.ended_before = std::move(ended_before);
  for (const PartPlan& part : plan.parts)
    if (plan.is_durable || part.spec->size() <= kMostKeptAttached)
      write.specs.emplace_back(part.spec_hash, part.spec->bytes());
  for (const auto& job : jobs) {
    write.rows.push_back(job_row(*job));
    if (job->terms) write.terms.push_back({job->key.job, to_map(*job->terms).dump()});
  }
  write.audit = audit_of(plan, jobs);
  return write;
}

store::MeasuredEnds write_jobs(store::Database& db, const Write& write, store::Measure measure) {
  std::set<std::string> hashes;
  std::set<JobId> gone;
  for (const auto& row : write.rows) {
    if (write.ended_before.contains(row.id) && !store::find_job(db, row.id)) {
      gone.insert(row.id);
      continue;
    }
    hashes.insert(row.spec_hash);
    store::put_job(db, row);
  }
  for (const auto& [hash, spec] : write.specs)
    if (hashes.contains(hash)) store::put_spec(db, hash, *spec);
  for (const auto& row : write.terms)
    if (!gone.contains(row.job)) store::put_terms(db, row);
  std::vector<JobId> ended;
  for (const auto& row : write.rows)
    if (row.ended_ms > 0 && !gone.contains(row.id)) ended.push_back(row.id);
  return store::measure_ends(db, ended, measure);
}

void store_then(Hub& hub, const Plan& plan, const std::vector<std::shared_ptr<Job>>& jobs,
                std::set<JobId> ended_before, std::move_only_function<void(Result<void>)> done) {
  const auto ends = std::make_shared<store::MeasuredEnds>();
  Write write = write_of(plan, jobs, std::move(ended_before));
  const bool has_ends = std::ranges::any_of(write.rows, [](auto& row) { return row.ended_ms > 0; });
  const auto measure = has_ends ? hub.ended_jobs().measure() : store::Measure::kNothing;
  hub.post(
      [write = std::move(write), ends, measure](store::Database& db) {
        *ends = write_jobs(db, write, measure);
        store::append_audit(db, wall_now(), write.audit);
      },
      [&hub, ends, done = std::move(done)](Result<void> saved) mutable {
        if (saved) hub.note_ended(*ends);
        if (done) done(std::move(saved));
      },
      plan.is_durable ? store::Urgency::kNow : store::Urgency::kBehind);
  fail_point(FailPoint::kControllerSubmitPosted);
}

// What it waits for and has ended already.
std::map<JobId, Ending> endings_of(Hub& hub, const Terms& terms, std::map<JobId, Ending> endings) {
  for (const Dependency& one : terms.after)
    if (const Job* job = hub.jobs().find(one.job); job != nullptr && job->is_final())
      endings[one.job] = ending_of(*job);
  return endings;
}

void start_all(Hub& hub, const Accepted& accepted, const std::map<JobId, Ending>& endings) {
  for (const auto& job : accepted.jobs) {
    if (job->is_final() || job->state == JobState::kRunning) continue;
    if (job->terms && job->state == JobState::kAccepted)
      hub.dispatcher().admit(job, endings_of(hub, *job->terms, endings));
    else
      hub.dispatch(*job);
  }
}

Accepted obtain_all(Hub& hub, const Plan& plan, std::set<JobId>& ended_before) {
  Accepted accepted{plan.run, {}, {}};
  for (const PartPlan& part : plan.parts) {
    for (const Node* node : part.nodes) {
      const auto [job, is_new] = obtain(hub, plan, part, *node);
      accepted.jobs.push_back(job);
      accepted.names.push_back(part.name);
      if (job->is_final()) ended_before.insert(job->key.job);
      // One that an earlier try made may be acknowledged: it waits for its node.
      const bool waits = part.terms && part.terms->waits_for_node();
      if (!is_new || node->link != nullptr || waits) continue;
      JobTable::apply_final(*job, record_without_run(*job, "unreachable", 125, "node_offline"),
                            wall_now());
      hub.jobs().note_end(*job);
    }
  }
  return accepted;
}

// What was refused is as if it had never come, unless a repeated submit has brought it to the disk
// meanwhile.
void settle_commit(Hub& hub, Accepted& accepted, const Result<void>& saved) {
  store::Pruned gone;
  for (auto& job : accepted.jobs) {
    if (!job->is_uncommitted) continue;
    if (!saved) {
      gone.ids.push_back(job->key.job);
      continue;
    }
    job->is_uncommitted = false;
    if (hub.jobs().find(job->key.job) == nullptr) hub.add_job(*job);
    job = hub.jobs().share(job->key.job);
  }
  hub.forget_jobs(gone);
}

// For those of its jobs that are new.
Result<void> check_room(Hub& hub, const Plan& plan) {
  std::uint64_t fresh = 0;
  for (const PartPlan& part : plan.parts)
    for (const Node* node : part.nodes)
      if (hub.jobs().find(derive_job_id(plan.owner, part.request, node->id)) == nullptr) ++fresh;
  const auto room = hub.budget().take(plan.owner, Resource::kJobs, fresh);
  if (!room) return std::unexpected(room.error());
  return {};
}

// All jobs of the request are in memory. Who was revoked while they were fetched submits nothing.
void fan_out_known(Hub& hub, const Submit& submit, Done done) {
  if (!hub.is_live_user(submit.owner))
    return done(fail(Code::kRevoked, "user \"" + submit.owner_name + "\" was revoked",
                     "ask an administrator for a new token, then: rexec login rx1_…"));
  auto plan = make_plan(hub, submit);
  if (!plan) return done(std::unexpected(plan.error()));
  if (auto room = check_room(hub, *plan); !room) return done(std::unexpected(room.error()));
  std::set<JobId> ended_before;
  Accepted accepted = obtain_all(hub, *plan, ended_before);
  if (!plan->is_durable) {
    store_then(hub, *plan, accepted.jobs, std::move(ended_before), {});
    start_all(hub, accepted, {});
    return done(std::move(accepted));
  }
  store_then(hub, *plan, accepted.jobs, std::move(ended_before),
             [&hub, accepted, endings = plan->endings, is_detached = plan->is_detached,
              done = std::move(done)](const Result<void>& saved) mutable {
               settle_commit(hub, accepted, saved);
               if (!saved) return done(std::unexpected(saved.error()));
               fail_point(FailPoint::kControllerSubmitCommitted);
               start_all(hub, accepted, endings);
               if (is_detached) return done(std::move(accepted));
               // Behind the commits of those that may start at once (Dispatcher::release): they are
               // on their way then, and their streams are opened with the answer.
               hub.post([](store::Database&) {},
                        [accepted, done = std::move(done)](const Result<void>&) mutable {
                          done(std::move(accepted));
                        });
             });
}

}  // namespace

void fan_out(Hub& hub, Submit submit, Done done) {
  const UserId owner = submit.owner;
  std::vector<std::string> requests;
  for (const Part& part : submit.parts) requests.push_back(request_of(submit, part));
  hub.recall_requests(owner, std::move(requests),
                      [&hub, submit = std::move(submit),
                       done = std::move(done)](const Result<void>& recalled) mutable {
                        if (!recalled) return done(std::unexpected(recalled.error()));
                        fan_out_known(hub, submit, std::move(done));
                      });
}

}  // namespace rexec::controller
