#include "src/agent/job_book.hpp"

#include <unistd.h>

#include "src/base/fail_point.hpp"
#include "src/base/log.hpp"

namespace rexec::agent {

namespace link = job::link;

JobBook::JobBook(const net::Executor& executor, os::UniqueFd spawner, std::string node,
                 Events events)
    : executor_(executor),
      node_(std::move(node)),
      events_(std::move(events)),
      spawner_(
          executor, std::move(spawner),
          [this](ByteSpan bytes, std::vector<os::UniqueFd> fds) {
            on_message(bytes, std::move(fds));
          },
          [this] { events_.on_spawner_gone(); }) {}

void JobBook::send(const link::ToSpawner& message, std::vector<os::UniqueFd> fds) {
  spawner_.send(link::encode(message), std::move(fds));
}

void JobBook::start(const link::Start& start, const std::string& spec, OnJob on_job) {
  if (auto known = find(start.key)) return on_job(known, {});
  auto memory = os::make_memfd("rexec-spec", as_bytes(spec));
  if (!memory) return on_job(nullptr, memory.error());
  waiting_.emplace(start.key, std::move(on_job));
  std::vector<os::UniqueFd> fds;
  fds.push_back(std::move(*memory));
  send(start, std::move(fds));
}

void JobBook::open(const AttemptKey& key, OnJob on_job) {
  if (auto known = find(key)) return on_job(known, {});
  const bool asked = waiting_.contains(key);
  waiting_.emplace(key, std::move(on_job));
  if (!asked) send(link::Open{key});
}

void JobBook::await_next(const std::shared_ptr<LocalJob>& job, OnJob on_job) {
  if (job->next_ms() == 0) return on_job(nullptr, {});
  if (auto next = find(job->next_key())) return on_job(next, {});
  awaited_.emplace(job->next_key(), std::move(on_job));
  send(link::Open{job->next_key()});
}

void JobBook::acknowledged(const AttemptKey& key, Known known) {
  const auto job = find(key);
  // It crossed a halt: the end itself is still to be told.
  if (job && known == Known::kRestart && job->next_ms() == 0) return;
  if (job) job->reported = true;
  send(link::Reported{key, known == Known::kEnd});
  fail_point(FailPoint::kNetReported);
  release(key);
}

void JobBook::halt(LocalJob& job, const link::Stop& stop) {
  send(link::Halt{job.key()});
  if (!job.ended()) return;
  halting_[job.key().job] = stop;
  const auto newer = jobs_.upper_bound(job.key());
  if (newer != jobs_.end() && newer->first.job == job.key().job) settle(*newer->second);
}

void JobBook::client_ended(const LocalJob& job) {
  if (job.next_ms() == 0) return;
  without_client_.insert(job.key().job);
  const auto newer = jobs_.upper_bound(job.key());
  if (newer != jobs_.end() && newer->first.job == job.key().job) return settle(*newer->second);
  send(link::Halt{job.key(), true});
}

void JobBook::settle(LocalJob& job) {
  const auto node = halting_.extract(job.key().job);
  if (!node.empty() && !job.ended()) job.send(node.mapped());
  if (without_client_.erase(job.key().job) > 0) job.client_ended();
}

void JobBook::tell_all(std::function<void()> told) {
  for (const auto& [key, job] : jobs_) job->reported = false;
  told_ = std::move(told);
  send(link::TellAll{});
}

void JobBook::synced() {
  if (!std::exchange(synced_, true)) return events_.on_synced();
  if (const auto told = std::exchange(told_, {})) told();
}

void JobBook::remove(const AttemptKey& key) {
  jobs_.erase(key);
  send(link::Remove{key});
}

// The spawner takes one message after the other: when it answers the second, the first is on disk.
void JobBook::was_read(const AttemptKey& key, OnJob noted) {
  waiting_.emplace(key, std::move(noted));
  send(link::WasRead{key});
  send(link::Open{key});
}

void JobBook::release(const AttemptKey& key) {
  const auto at = jobs_.find(key);
  if (at != jobs_.end() && at->second->ended() && at->second->reported &&
      !at->second->has_readers() && !at->second->waits_for_next())
    jobs_.erase(at);
}

std::vector<std::shared_ptr<LocalJob>> JobBook::unreported() const {
  std::vector<std::shared_ptr<LocalJob>> out;
  for (const auto& [key, job] : jobs_)
    if (!job->reported || job->waits_for_next()) out.push_back(job);
  return out;
}

std::shared_ptr<LocalJob> JobBook::find(const AttemptKey& key) const {
  const auto at = jobs_.find(key);
  return at == jobs_.end() ? nullptr : at->second;
}

std::shared_ptr<LocalJob> JobBook::obtain(const AttemptKey& key) {
  auto& slot = jobs_[key];
  if (slot) return slot;
  LocalJob::Events events;
  events.on_started = [this](LocalJob& job) { events_.on_started(job); };
  events.on_ended = [this](LocalJob& job) { events_.on_ended(job); };
  events.on_held = [this](LocalJob& job) { events_.on_held(job); };
  // The shim is gone without a record: the spawner finds out what became of the job and says so by
  // a Finished.
  events.on_shim_lost = [this](LocalJob& job) { send(link::Open{job.key()}); };
  events.on_spool_wanted = events.on_shim_lost;
  events.on_client_end = [this](LocalJob& job) { client_ended(job); };
  events.on_halt = [this](LocalJob& job, const link::Stop& stop) { halt(job, stop); };
  slot = std::make_shared<LocalJob>(executor_, key, std::move(events));
  return slot;
}

void JobBook::answer(const AttemptKey& key, const std::shared_ptr<LocalJob>& job,
                     const Error& error) {
  std::vector<OnJob> callbacks;
  const auto take = [&](std::multimap<AttemptKey, OnJob>& from) {
    const auto [first, last] = from.equal_range(key);
    for (auto at = first; at != last; ++at) callbacks.push_back(std::move(at->second));
    from.erase(first, last);
  };
  take(waiting_);
  if (job) take(awaited_);
  for (const auto& callback : callbacks) callback(job, error);
}

void JobBook::on_message(ByteSpan bytes, std::vector<os::UniqueFd> fds) {
  auto message = link::decode_from_spawner(bytes);
  if (!message) {
    log_error("the spawner sent something unreadable", {{"why", message.error().message}});
    return;
  }
  if (auto* channel = std::get_if<link::ShimChannel>(&*message))
    handle(*channel, std::move(fds));
  else if (auto* finished = std::get_if<link::Finished>(&*message))
    handle(*finished, std::move(fds));
  else if (auto* refused = std::get_if<link::Refused>(&*message))
    handle(*refused);
  else if (std::holds_alternative<link::SyncDone>(*message))
    synced();
}

void JobBook::handle(const link::ShimChannel& channel, std::vector<os::UniqueFd> fds) {
  if (fds.empty()) return;
  fail_point(FailPoint::kNetChannelRead);
  auto job = obtain(channel.key);
  job->use_channel(channel, std::move(fds.front()));
  begun(channel.key);
  settle(*job);
  answer(channel.key, job, {});
}

void JobBook::handle(const link::Finished& finished, std::vector<os::UniqueFd> fds) {
  auto job = obtain(finished.key);
  job->use_finished(finished, std::move(fds));
  begun(finished.key);
  settle(*job);
  answer(finished.key, job, {});
  if (finished.next_ms == 0) give_up_next(*job);
  release(finished.key);
}

// What came before it is past.
void JobBook::begun(const AttemptKey& key) {
  if (key.attempt < 2) return;
  const AttemptKey before{key.job, key.attempt - 1};
  const auto job = find(before);
  if (!job) return;
  job->next_is_there();
  // A reader that only looks on may have kept the end of the client from taking effect.
  if (job->is_without_client()) without_client_.insert(key.job);
  release(before);
}

void JobBook::give_up_next(const LocalJob& job) {
  const auto [first, last] = awaited_.equal_range(job.next_key());
  std::vector<OnJob> callbacks;
  for (auto at = first; at != last; ++at) callbacks.push_back(std::move(at->second));
  awaited_.erase(first, last);
  for (const auto& callback : callbacks) callback(nullptr, {});
}

// Before ShimChannel: whoever asked is told. After it the job was accepted, and its end is told as
// any other's.
void JobBook::handle(const link::Refused& refused) {
  const Error error{code_from_name(refused.code), refused.message, {}};
  answer(refused.key, nullptr, error);
  const auto job = find(refused.key);
  if (!job) return;
  if (job->ended()) return job->spool_is_gone();
  if (error.code != Code::kBusy) return job->use_refusal(error, node_);
  // The spawner has tried for seconds; the job is still ours.
  if (!job->connected()) send(link::Open{refused.key});
}

}  // namespace rexec::agent
