#include "src/controller/jobs.hpp"

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
  return record ? wire::text_or(*record, "outcome", "lost") : std::string(state_name(state));
}

wire::Map job_to_map(const Job& job) {
  const auto time = [](WallTime at) {
    return at == WallTime{} ? wire::Map(nullptr) : wire::Map(to_iso8601(at));
  };
  wire::Map map{
      {"job", job.key.job.text},      {"attempt", job.key.attempt},  {"node", job.node_name},
      {"owner", job.owner_name},      {"command", job.command},      {"state", job.shown_state()},
      {"final", job.is_final()},      {"detached", job.is_detached}, {"created", time(job.created)},
      {"started", time(job.started)}, {"ended", time(job.ended)},    {"request", job.request}};
  if (!job.run.empty()) map["run"] = job.run.text;
  if (job.record) map["record"] = *job.record;
  return map;
}

wire::Map record_without_run(const Job& job, std::string_view outcome, int code,
                             std::string_view reason) {
  return {{"node", job.node_name},
          {"job", job.key.job.text},
          {"outcome", outcome},
          {"code", code},
          {"signal", 0},
          {"oom", false},
          {"bytes", {{"out", 0}, {"err", 0}}},
          {"complete", outcome != "lost"},
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
  check(slot == nullptr, "a job id is added once");
  slot = std::make_unique<Job>(std::move(job));
  order_.push_back(id);
  by_request_.emplace(request_key(slot->owner, slot->request), id);
  return *slot;
}

std::vector<Job*> JobTable::of_request(const UserId& owner, const std::string& request) {
  std::vector<Job*> out;
  const auto [begin, end] = by_request_.equal_range(request_key(owner, request));
  for (auto at = begin; at != end; ++at) out.push_back(find(at->second));
  return out;
}

Job* JobTable::find(const JobId& id) {
  const auto at = jobs_.find(id);
  return at == jobs_.end() ? nullptr : at->second.get();
}

Result<Job*> JobTable::resolve(const std::string& prefix) {
  const std::string text = prefix.starts_with("j-") ? prefix : "j-" + prefix;
  if (Job* job = find({text}); job != nullptr) return job;
  if (text.size() < 6)
    return fail(Code::kUsage, "job \"" + prefix + "\" is shorter than 4 characters",
                "see: rexec ps");
  Job* found = nullptr;
  for (auto at = order_.rbegin(); at != order_.rend(); ++at) {
    if (!at->text.starts_with(text)) continue;
    if (found != nullptr)
      return fail(Code::kAmbiguousJob,
                  "job \"" + prefix + "\" fits " + found->key.job.text + " and " + at->text,
                  "give more of it");
    found = find(*at);
  }
  if (found == nullptr)
    return fail(Code::kUnknownJob, "no job \"" + prefix + "\"", "see: rexec ps --all");
  return found;
}

void JobTable::remove(const std::vector<JobId>& ids) {
  if (ids.empty()) return;
  for (const JobId& id : ids) jobs_.erase(id);
  std::erase_if(order_, [this](const JobId& id) { return !jobs_.contains(id); });
  std::erase_if(by_request_, [this](const auto& entry) { return !jobs_.contains(entry.second); });
}

std::vector<Job*> JobTable::newest(std::size_t limit) {
  std::vector<Job*> out;
  for (auto at = order_.rbegin(); at != order_.rend() && out.size() < limit; ++at)
    out.push_back(find(*at));
  return out;
}

std::vector<Job*> JobTable::unfinished_on(const NodeId& node) {
  std::vector<Job*> out;
  for (const auto& [id, job] : jobs_)
    if (job->node == node && !job->is_final()) out.push_back(job.get());
  return out;
}

std::size_t JobTable::running() const {
  return static_cast<std::size_t>(std::count_if(jobs_.begin(), jobs_.end(), [](const auto& j) {
    return j.second->state == JobState::kRunning;
  }));
}

bool JobTable::apply_running(Job& job, WallTime started) {
  if (job.is_final() || job.state == JobState::kRunning) return false;
  job.state = JobState::kRunning;
  job.started = started;
  job.spec.reset();
  return true;
}

bool JobTable::apply_final(Job& job, wire::Map record, WallTime now) {
  if (job.is_final()) return false;
  job.state = JobState::kFinal;
  job.record = std::move(record);
  job.ended = now;
  job.spec.reset();
  return true;
}

}  // namespace rexec::controller
