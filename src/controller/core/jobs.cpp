#include "src/controller/core/jobs.hpp"

#include <openssl/sha.h>

#include <algorithm>

#include "src/base/check.hpp"

namespace rexec::controller {

std::string_view state_name(JobState state) {
  switch (state) {
    case JobState::kAccepted:
      return "accepted";
    case JobState::kDispatched:
      return "dispatched";
    case JobState::kRunning:
      return "running";
    case JobState::kFinal:
      return "final";
  }
  return "?";
}

std::string Job::shown_state() const {
  if (record) return wire::text_or(*record, "outcome", "lost");
  return std::string(next_attempt ? kRestarting : state_name(state));
}

bool Job::may_have_run() const {
  return !ended_here() || wire::text_or(*record, "outcome") == "lost";
}

namespace {

// A job of a DAG may come after those of a whole fleet.
wire::Map shown_terms(const Terms& terms) {
  if (terms.after.size() <= kMostDependencies) return to_map(terms);
  Terms some = terms;
  some.after.resize(kMostDependencies);
  wire::Map map = to_map(some);
  map["after_more"] = terms.after.size() - kMostDependencies;
  return map;
}

}  // namespace

wire::Map job_to_map(const Job& job) {
  const auto time = [](WallTime at) {
    return at == WallTime{} ? wire::Map(nullptr) : wire::Map(to_iso8601(at));
  };
  wire::Map map{{"job", job.key.job.text},
                {"attempt", job.key.attempt},
                {"node", job.node_name},
                {"owner", job.owner_name},
                {"command", job.command},
                {"state", job.waiting.empty() ? job.shown_state() : "waiting"},
                {"final", job.is_final()},
                {"detached", job.is_detached},
                {"created", time(job.created)},
                {"started", time(job.started)},
                {"ended", time(job.ended)},
                {"request", job.request}};
  if (!job.run.empty()) map["run"] = job.run.text;
  if (job.terms) map["terms"] = shown_terms(*job.terms);
  if (!job.waiting.empty()) map["waiting"] = job.waiting;
  if (!job.held.empty() && job.state == JobState::kRunning) map["held"] = job.held;
  if (job.stop && !job.is_final())
    map["stopping"] = "the order is kept for node \"" + job.node_name + "\"";
  if (job.next_attempt) map["next_attempt"] = time(*job.next_attempt);
  if (job.record) map["record"] = *job.record;
  return map;
}

wire::Map record_without_run(const Job& job, std::string_view outcome, int code,
                             std::string_view reason) {
  return {{"node", job.node_name},
          {"job", job.key.job.text},
          {"outcome", outcome},
          {"code", code},
          {"signal", nullptr},
          {"oom", false},
          {"bytes", {{"out", 0}, {"err", 0}}},
          {"complete", false},
          {"reason", reason},
          {"wall_s", 0.0},
          {"cpu_s", 0.0},
          {"max_rss", 0}};
}

JobId derive_job_id(const UserId& user, const std::string& request, const NodeId& node) {
  std::string input = "rexec job";
  for (const std::string& part : {user.text, request, node.text}) {
    input += '\0';
    input += part;
  }
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(as_bytes(input).data(), input.size(), digest);
  return {"j-" + to_base32({digest, 8}).substr(0, 12)};
}

namespace {

std::string request_key(const UserId& owner, const std::string& request) {
  return owner.text + '\0' + request;
}

}  // namespace

Job& JobTable::add(Job job) {
  const JobId id = job.key.job;
  auto& slot = jobs_[id];
  check(slot.job == nullptr, "a job id is added once");
  slot.job = std::make_shared<Job>(std::move(job));
  Job& added = *slot.job;
  order_.emplace(JobOrder{added.created, id}, &added);
  by_request_[request_key(added.owner, added.request)].insert(id);
  by_node_[added.node].insert({added.created, id});
  return added;
}

std::vector<Job*> JobTable::of_request(const UserId& owner, const std::string& request) {
  std::vector<Job*> out;
  const auto ids = by_request_.find(request_key(owner, request));
  if (ids == by_request_.end()) return out;
  for (const JobId& id : ids->second) out.push_back(find(id));
  return out;
}

Job* JobTable::find(const JobId& id) { return share(id).get(); }

std::shared_ptr<Job> JobTable::share(const JobId& id) {
  const auto at = jobs_.find(id);
  return at == jobs_.end() ? nullptr : at->second.job;
}

std::vector<std::shared_ptr<Job>> JobTable::with_prefix(const std::string& prefix) {
  std::vector<std::shared_ptr<Job>> out;
  for (auto at = jobs_.lower_bound({prefix}); at != jobs_.end(); ++at) {
    if (!at->first.text.starts_with(prefix)) break;
    out.push_back(at->second.job);
  }
  return out;
}

void JobTable::erase(JobId id) {
  const auto at = jobs_.find(id);
  if (at == jobs_.end()) return;
  const std::shared_ptr<Job> job = at->second.job;
  order_.erase({job->created, id});
  const auto of_request = by_request_.find(request_key(job->owner, job->request));
  if (of_request != by_request_.end() && of_request->second.erase(id) > 0 &&
      of_request->second.empty())
    by_request_.erase(of_request);
  note_end(*job);
  jobs_.erase(at);
}

void JobTable::remove(const std::vector<JobId>& ids) {
  for (const JobId& id : ids) erase(id);
}

bool JobTable::retire(const JobId& id) {
  const auto at = jobs_.find(id);
  if (at == jobs_.end() || !at->second.job->is_final() || at->second.retired) return false;
  at->second.retired = true;
  note_end(*at->second.job);
  retired_.push_back(id);
  while (retired_.size() > most_ended_) {
    // One that was removed meanwhile may be there again, as a new job.
    const auto oldest = jobs_.find(retired_.front());
    if (oldest != jobs_.end() && oldest->second.retired) erase(oldest->first);
    retired_.pop_front();
  }
  return true;
}

bool JobTable::is_end_kept(const JobId& id) const {
  const auto at = jobs_.find(id);
  return at == jobs_.end() || at->second.retired;
}

void JobTable::note_end(const Job& job) {
  const auto of_node = by_node_.find(job.node);
  if (of_node == by_node_.end()) return;
  of_node->second.erase({job.created, job.key.job});
  if (of_node->second.empty()) by_node_.erase(of_node);
}

std::vector<Job*> JobTable::unfinished_on(const NodeId& node, const std::optional<JobOrder>& after,
                                          std::size_t most) {
  std::vector<Job*> out;
  const auto ids = by_node_.find(node);
  if (ids == by_node_.end()) return out;
  auto at = after ? ids->second.lower_bound(*after) : ids->second.end();
  while (at != ids->second.begin() && out.size() < most)
    if (Job* job = find((--at)->id); !job->is_final()) out.push_back(job);
  return out;
}

std::size_t JobTable::count_unfinished_on(const NodeId& node) const {
  const auto ids = by_node_.find(node);
  return ids == by_node_.end() ? 0 : ids->second.size();
}

std::size_t JobTable::running() const {
  return static_cast<std::size_t>(std::count_if(jobs_.begin(), jobs_.end(), [](const auto& j) {
    return j.second.job->state == JobState::kRunning;
  }));
}

bool JobTable::apply_running(Job& job, WallTime started) {
  if (job.is_final() || job.state == JobState::kRunning) return false;
  job.state = JobState::kRunning;
  job.started = started;
  job.spec.reset();
  return true;
}

bool JobTable::apply_restarting(Job& job, const AttemptKey& ended, WallTime next) {
  if (job.is_final() || job.key != ended || job.next_attempt == next) return false;
  job.state = JobState::kRunning;
  job.next_attempt = next;
  job.spec.reset();
  return true;
}

bool JobTable::apply_attempt(Job& job, std::uint32_t attempt, WallTime started) {
  if (job.is_final() || attempt <= job.key.attempt) return false;
  job.key.attempt = attempt;
  job.state = JobState::kRunning;
  job.started = started;
  job.next_attempt.reset();
  job.spec.reset();
  return true;
}

bool JobTable::apply_final(Job& job, wire::Map record, WallTime now) {
  if (job.is_final()) return false;
  job.next_attempt.reset();
  job.state = JobState::kFinal;
  job.record = std::make_shared<const wire::Map>(std::move(record));
  job.ended = now;
  job.spec.reset();
  job.place.reset();
  job.kept_spec.reset();
  return true;
}

}  // namespace rexec::controller
