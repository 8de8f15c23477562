#include "src/controller/fanout.hpp"

#include <algorithm>

#include "src/base/fail_point.hpp"
#include "src/base/text.hpp"
#include "src/job/spec.hpp"
#include "src/pki/digest.hpp"

namespace rexec::controller {
namespace {

std::string summary_of(const job::JobSpec& spec) {
  std::string out = spec.script ? "(script)" : "";
  for (const auto& word : spec.argv) {
    out += (out.empty() ? "" : " ") + printable(word);
    if (out.size() > 200) return out.substr(0, 200);
  }
  return out;
}

RunId derive_run_id(const Submit& submit) {
  const auto digest =
      pki::sha256({as_bytes("rexec run"), as_bytes(submit.owner.text), as_bytes(submit.request)});
  return {"r-" + to_base32({digest.data(), 8}).substr(0, 12)};
}

Error offline(const Node& node) {
  return {Code::kNodeOffline,
          "node \"" + node.name + "\" is offline" +
              (node.last_seen == WallTime{} ? "" : ", last seen " + to_iso8601(node.last_seen)),
          "see: rexec node ls\nwait for it: rexec node wait " + node.name};
}

struct Plan {
  Submit submit;
  std::string command;
  std::string spec_hash;
  std::shared_ptr<const std::string> spec;
  RunId run;
};

Job make_job(Hub& hub, const Plan& plan, const Node& node) {
  Job job;
  job.key = {derive_job_id(plan.submit.owner, plan.submit.request, node.id), 1};
  job.run = plan.run;
  job.node = node.id;
  job.node_name = node.name;
  job.owner = plan.submit.owner;
  job.owner_name = plan.submit.owner_name;
  job.request = plan.submit.request;
  job.spec_hash = plan.spec_hash;
  job.command = plan.command;
  job.is_detached = plan.submit.is_detached;
  job.is_keyed = plan.submit.is_keyed;
  job.created = wall_now();
  job.spec = plan.spec;
  job.ticket =
      hub.tickets().seal({job.key, job.owner, job.node, job.request, job.run, job.created});
  return job;
}

// The job of this request on this node: a new one, or the one an earlier try made.
Result<std::shared_ptr<Job>> obtain(Hub& hub, const Plan& plan, const Node& node) {
  const JobId id = derive_job_id(plan.submit.owner, plan.submit.request, node.id);
  const auto known = hub.jobs().share(id);
  if (!known) {
    hub.add_job(make_job(hub, plan, node));
    return hub.jobs().share(id);
  }
  if (known->spec_hash.empty()) {  // adopted from the node after a restart
    known->spec_hash = plan.spec_hash;
    known->command = plan.command;
    known->is_detached = plan.submit.is_detached;
    known->is_keyed = plan.submit.is_keyed;
  }
  if (known->spec_hash != plan.spec_hash)
    return fail(Code::kConflict,
                "this request id was used for another command (job " + id.text + ")",
                "use another --idempotency-key");
  if (!known->is_final() && known->state != JobState::kRunning) known->spec = plan.spec;
  return known;
}

// A key is for one set of nodes: on another node it would start a second job. Growing is allowed (a
// label got a node more), and what ran on a node that was removed is no reason to refuse.
Result<void> check_same_nodes(Hub& hub, const Submit& submit, const std::vector<Node*>& nodes) {
  for (const Job* job : hub.jobs().of_request(submit.owner, submit.request)) {
    const auto is_its = [job](const Node* node) { return node->id == job->node; };
    if (std::any_of(nodes.begin(), nodes.end(), is_its)) continue;
    if (hub.registry().find(job->node) == nullptr) continue;
    return fail(Code::kConflict,
                "this request id was used for another target (job " + job->key.job.text +
                    " on node \"" + job->node_name + "\")",
                "use another --idempotency-key");
  }
  return {};
}

// An attached job runs whether or not its spec is kept; a large one is not worth the writing.
constexpr std::size_t kMostKeptAttached = 64 << 10;

void store_then(Hub& hub, const Plan& plan, const std::vector<std::shared_ptr<Job>>& jobs,
                std::move_only_function<void(Result<void>)> done) {
  std::vector<store::JobRow> rows;
  std::vector<JobId> ended;
  for (const auto& job : jobs) {
    rows.push_back(job_row(*job));
    if (job->is_final()) ended.push_back(job->key.job);
  }
  const store::AuditEntry audit{
      "user/" + plan.submit.owner.text + " " + plan.submit.owner_name, "job.submit",
      jobs.size() == 1 ? "job/" + jobs.front()->key.job.text : "run/" + plan.run.text,
      printable(plan.submit.targets.substr(0, 200)) + ": " + plan.command};
  const auto urgency = plan.submit.is_detached ? store::Urgency::kNow : store::Urgency::kBehind;
  const bool keep = plan.submit.is_detached || plan.spec->size() <= kMostKeptAttached;
  hub.post(
      [rows = std::move(rows), spec = plan.spec, hash = plan.spec_hash, audit,
       keep](store::Database& db) {
        if (keep) store::put_spec(db, hash, *spec);
        for (const auto& row : rows) store::put_job(db, row);
        store::append_audit(db, wall_now(), audit);
      },
      [&hub, ended = std::move(ended), done = std::move(done)](Result<void> saved) mutable {
        if (saved)
          for (const JobId& id : ended) hub.jobs().retire(id);
        if (done) done(std::move(saved));
      },
      urgency);
  fail_point(FailPoint::kControllerSubmitPosted);
}

// All jobs of the request are in memory.
void fan_out_known(Hub& hub, const Submit& submit, Done done) {
  auto spec = job::decode_spec(as_bytes(submit.spec));
  if (!spec) return done(std::unexpected(spec.error()));
  auto nodes = hub.registry().select(submit.targets);
  if (!nodes) return done(std::unexpected(nodes.error()));
  if (auto same = check_same_nodes(hub, submit, *nodes); !same)
    return done(std::unexpected(same.error()));
  Plan plan{submit,
            summary_of(*spec),
            to_hex(pki::sha256(as_bytes(submit.spec))),
            std::make_shared<const std::string>(submit.spec),
            {}};
  if (nodes->size() > 1) plan.run = derive_run_id(submit);
  if (nodes->size() == 1 && nodes->front()->link == nullptr &&
      hub.jobs().find(derive_job_id(submit.owner, submit.request, nodes->front()->id)) == nullptr)
    return done(std::unexpected(offline(*nodes->front())));
  Accepted accepted{plan.run, {}};
  for (Node* node : *nodes) {
    const JobId id = derive_job_id(submit.owner, submit.request, node->id);
    const bool is_new = hub.jobs().find(id) == nullptr;
    auto job = obtain(hub, plan, *node);
    if (!job) return done(std::unexpected(job.error()));
    accepted.jobs.push_back(*job);
    // One that an earlier try made may be acknowledged: it waits for its node.
    if (is_new && node->link == nullptr)
      JobTable::apply_final(**job, record_without_run(**job, "unreachable", 125, "node_offline"),
                            wall_now());
  }
  const auto start_all = [&hub](const Accepted& what) {
    for (const auto& job : what.jobs)
      if (!job->is_final() && job->state != JobState::kRunning) hub.dispatch(*job);
  };
  if (!submit.is_detached) {
    store_then(hub, plan, accepted.jobs, {});
    start_all(accepted);
    return done(std::move(accepted));
  }
  store_then(hub, plan, accepted.jobs,
             [accepted, start_all, done = std::move(done)](const Result<void>& saved) mutable {
               if (!saved) return done(std::unexpected(saved.error()));
               fail_point(FailPoint::kControllerSubmitCommitted);
               start_all(accepted);
               done(std::move(accepted));
             });
}

}  // namespace

void fan_out(Hub& hub, Submit submit, Done done) {
  const UserId owner = submit.owner;
  const std::string request = submit.request;
  hub.recall_request(owner, request,
                     [&hub, submit = std::move(submit),
                      done = std::move(done)](const Result<void>& recalled) mutable {
                       if (!recalled) return done(std::unexpected(recalled.error()));
                       fan_out_known(hub, submit, std::move(done));
                     });
}

}  // namespace rexec::controller
