// Jobs that memory does not hold any more, read back from the store: by id, by a beginning of one,
// or by the request that made them; and those that a node shows a ticket for. Memory may change
// between the question and the store's answer: it is asked first and again at the end, and it goes
// before a row. Part of the hub.
#include "src/base/fail_point.hpp"
#include "src/controller/state/hub.hpp"
#include "src/store/tables/removed_jobs.hpp"

namespace rexec::controller {
namespace {

constexpr std::size_t kLeastTyped = 4;
constexpr std::size_t kIdSize = 14;  // "j-" and 12 characters

using Rows = std::vector<store::JobRow>;

std::unexpected<Error> unknown_job(const std::string& typed) {
  return fail(Code::kUnknownJob, "no job \"" + typed + "\"", "see: rexec ps --all");
}

// Its node forgot it too: nothing would keep the job from running a second time.
std::unexpected<Error> key_of_removed(const JobId& job) {
  return fail(Code::kConflict, "the job of this key, " + job.text + ", was removed",
              "use another --idempotency-key");
}

}  // namespace

bool Hub::may_see(const std::string& user_id, const Job& job) const {
  return job.owner.text == user_id || is_admin(user_id);
}

std::shared_ptr<const void> Hub::place_of(const UserId& owner) {
  return std::make_shared<const Share>(budget_.hold(owner, Resource::kJobs, 1));
}

Job& Hub::add_job(Job job) {
  if (!job.is_final() && !job.place) job.place = place_of(job.owner);
  requests_.insert(store::request_key(job.owner, job.request));
  ++job_count_;
  return jobs_.add(std::move(job));
}

void Hub::forget_jobs(const store::Pruned& gone) {
  jobs_.remove(gone.ids);
  ended_jobs_.freed(gone.freed);
  for (const std::uint64_t key : gone.keys) requests_.erase(key);
  job_count_ -= std::min(job_count_, gone.ids.size());
}

void Hub::find_job(const std::string& user_id, const std::string& typed, FoundJob found) {
  const std::string prefix = typed.starts_with("j-") ? typed : "j-" + typed;
  if (const auto job = jobs_.share({prefix}); job && may_see(user_id, *job)) return found(job);
  if (prefix.size() < kLeastTyped + 2)
    return found(
        fail(Code::kUsage,
             "job \"" + typed + "\" is too short: 4 characters of an id at least, without j-",
             "see: rexec ps"));
  if (prefix.size() > kIdSize) return found(unknown_job(typed));
  const UserId owner{is_admin(user_id) ? "" : user_id};
  ask<Rows>(
      [prefix, owner](store::Database& db) -> Result<Rows> {
        return store::find_jobs_by_prefix(db, prefix, owner, 2);
      },
      [this, user_id, typed, prefix, found = std::move(found)](const Result<Rows>& rows) {
        if (!rows) return found(std::unexpected(rows.error()));
        found(choose(user_id, typed, prefix, *rows));
      });
}

Result<std::shared_ptr<Job>> Hub::choose(const std::string& user_id, const std::string& typed,
                                         const std::string& prefix, const Rows& rows) {
  std::map<JobId, std::shared_ptr<Job>> fitting;
  for (const auto& job : jobs_.with_prefix(prefix))
    if (may_see(user_id, *job)) fitting.emplace(job->key.job, job);
  for (const auto& row : rows)
    if (!fitting.contains(row.id))
      fitting.emplace(row.id, std::make_shared<Job>(job_from_row(row)));
  if (fitting.empty()) return unknown_job(typed);
  if (fitting.size() == 1 || fitting.begin()->first.text == prefix) return fitting.begin()->second;
  return fail(Code::kAmbiguousJob,
              "job \"" + typed + "\" fits " + fitting.begin()->first.text + " and " +
                  std::next(fitting.begin())->first.text,
              "give more of it");
}

void Hub::recall(std::vector<JobId> ids, Ready ready) {
  std::erase_if(ids, [this](const JobId& id) { return jobs_.find(id) != nullptr; });
  if (ids.empty()) return ready({});
  struct Found {
    Rows rows;
    std::vector<JobId> removed;
  };
  ask<Found>(
      [ids = std::move(ids)](store::Database& db) -> Result<Found> {
        Found found;
        for (const JobId& id : ids) {
          if (auto row = store::find_job(db, id))
            found.rows.push_back(std::move(*row));
          else if (store::was_job_removed(db, id))
            found.removed.push_back(id);
        }
        return found;
      },
      [this, ready = std::move(ready)](Result<Found> found) mutable {
        if (!found) return ready(std::unexpected(found.error()));
        removed_.insert(found->removed.begin(), found->removed.end());
        use_recalled(std::move(found->rows), std::move(ready));
      });
}

bool Hub::was_removed(const JobId& id) const { return removed_.contains(id); }

void Hub::recall_requests(const UserId& owner, std::vector<std::string> requests, Ready ready) {
  std::erase_if(requests, [&](const std::string& request) {
    return !requests_.contains(store::request_key(owner, request));
  });
  if (requests.empty()) return ready({});
  ask<Rows>(
      [owner, requests = std::move(requests)](store::Database& db) -> Result<Rows> {
        Rows all;
        for (const std::string& request : requests) {
          if (const auto gone = store::find_removed_key(db, owner, request))
            return key_of_removed(gone->job);
          for (auto& row : store::find_jobs_of_request(db, owner, request))
            all.push_back(std::move(row));
        }
        return all;
      },
      [this, ready = std::move(ready)](Result<Rows> rows) mutable {
        use_recalled(std::move(rows), std::move(ready));
      });
}

// They leave again as any that ended, but not before `ready` is done with them.
void Hub::use_recalled(Result<Rows> rows, Ready ready) {
  if (!rows) return ready(std::unexpected(rows.error()));
  std::vector<JobId> recalled;
  for (const auto& row : *rows) {
    if (jobs_.find(row.id) != nullptr) continue;
    jobs_.add(job_from_row(row));
    recalled.push_back(row.id);
  }
  ready({});
  for (const JobId& id : recalled) jobs_.retire(id);
}

Job* Hub::adopt(const AttemptKey& key, const std::string& ticket, const NodeId& node) {
  auto claims = parts_.tickets.open(ticket);
  // It names the attempt it was made for; the later ones are that job's too, on that node.
  if (!claims || claims->attempt.job != key.job || claims->attempt.attempt > key.attempt ||
      claims->node != node)
    return nullptr;
  // As long as this, it is known which jobs were removed.
  if (was_removed(key.job) || claims->accepted < wall_now() - store::kKeepRemovedJobs)
    return nullptr;
  Job job;
  job.key = key;
  job.run = claims->run;
  job.node = node;
  const Node* known = registry_.find(node);
  job.node_name = known == nullptr ? node.text : known->name;
  job.owner = claims->owner;
  const auto* person = user(claims->owner.text);
  job.owner_name = person == nullptr ? claims->owner.text : person->name;
  job.request = claims->request;
  job.command = "(adopted after a restart)";
  job.ticket = ticket;
  job.state = JobState::kDispatched;
  job.created = claims->accepted;
  const bool is_fired = schedules_.recognise(job);
  fail_point(FailPoint::kControllerAdopted);
  Job& added = add_job(std::move(job));
  // A firing's row; or the row of its submit went with the controller that did not write the job
  // either.
  const store::AuditEntry audit{
      "node/" + node.text + " " + added.node_name, is_fired ? "schedule.fire" : "job.adopt",
      "job/" + key.job.text,
      "of " + added.owner_name +
          (is_fired ? ", firing " + added.request : ", known by its ticket after a restart")};
  post(
      [row = job_row(added), audit](store::Database& db) {
        store::put_job(db, row);
        store::append_audit(db, wall_now(), audit);
      },
      {}, store::Urgency::kBehind);
  return &added;
}

}  // namespace rexec::controller
