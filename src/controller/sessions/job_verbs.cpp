// The requests about jobs: list, show, wait, stop, remove. Jobs that memory does not hold any more
// are found in the store (Hub::find_job), so each of these may answer later than it was asked.
#include <algorithm>
#include <array>
#include <csignal>

#include "src/base/fail_point.hpp"
#include "src/controller/core/node_words.hpp"
#include "src/controller/sessions/client_session.hpp"
#include "src/controller/state/agent_session.hpp"
#include "src/controller/verbs/job_listing.hpp"
#include "src/job/spec/spec.hpp"
#include "src/store/tables/attempts.hpp"

namespace rexec::controller {
namespace {

constexpr std::size_t kMostListed = 200;
constexpr Millis kLookAgain{2'000};  // whether a node is still away
constexpr std::uint64_t kMostAway = std::uint64_t{366} * 86'400'000;

// The id behind a name; a name that was given anew is its last owner's.
UserId user_named(Hub& hub, const std::string& name) {
  UserId id;
  for (const auto& [key, row] : hub.users()) {
    if (row.name != name) continue;
    if (id.empty() || !row.revoked) id = row.id;
  }
  return id;
}

// A node that was removed is still known by its jobs: those that its filter lets one see.
void know_node(Hub& hub, const JobQuery& query, std::function<void(Result<void>)> answered) {
  const std::string& name = query.filter.node_name;
  if (name.empty() || hub.registry().find_by_name(name) != nullptr) return answered({});
  JobQuery any;
  any.filter.owner = query.filter.owner;
  any.filter.node_name = name;
  any.which = JobQuery::Which::kAll;
  any.asker = query.asker;
  any.limit = 1;
  list_jobs(hub, std::move(any),
            [&hub, name, answered = std::move(answered)](const Result<wire::Map>& page) {
              if (!page) return answered(std::unexpected(page.error()));
              if (!wire::child_or_empty(*page, "jobs").empty()) return answered({});
              auto selected = hub.registry().select(name);
              if (!selected) return answered(std::unexpected(selected.error()));
              answered(fail(Code::kUnknownNode, "\"" + name + "\" is not the name of one node",
                            "see: rexec node ls"));
            });
}

// What the store has of a job that is to run again.
struct Kept {
  std::string spec;
  wire::Map terms = wire::Map::object();
};

std::array<std::uint8_t, 16> random_request() {
  std::array<std::uint8_t, 16> bytes;
  random_bytes(bytes);
  return bytes;
}

// So long a node's word on a job's output is waited for.
constexpr Millis kOutputWord{3'000};

bool wrote_nothing(const Job& job) {
  const wire::Map& bytes = wire::child_or_empty(*job.record, "bytes");
  return !job.ended_here() && wire::u64_or(bytes, "out", 0) + wire::u64_or(bytes, "err", 0) == 0;
}

// {unreachable, given_up?} of a job whose output is gone, as EVENT end has them; {} when it is not,
// or its node is away, silent or too old to say.
void find_lost_output(Hub& hub, const std::shared_ptr<Job>& job,
                      std::function<void(const wire::Map&)> found) {
  const wire::Map nothing = wire::Map::object();
  if (!job->is_final() || wrote_nothing(*job)) return found(nothing);
  const auto unreachable = [&hub, job, nothing] {
    std::string why = hub.why_unreachable(*job);
    return why.empty() ? nothing : wire::Map{{"unreachable", std::move(why)}};
  };
  const Node* holder = hub.output_holder(*job);
  if (holder == nullptr) return found(unreachable());
  if (holder->link == nullptr) return found(nothing);
  // Whoever comes second holds nothing of the request any more.
  const auto tell =
      [open = std::make_shared<decltype(found)>(std::move(found))](const wire::Map& lost) {
        if (const auto once = std::exchange(*open, {})) once(lost);
      };
  hub.after(kOutputWord, [tell, nothing] { tell(nothing); });
  hub.ask_node(*holder, "job.output", {{"job", job->key.job.text}, {"attempt", job->key.attempt}},
               [tell, nothing, unreachable](const Result<wire::Map>& answer) {
                 if (answer) return tell(read_lost_output(*answer));
                 tell(answer.error().code == Code::kUnknownJob ? unreachable() : nothing);
               });
}

// The same command as a detached job that waits for nothing but its locks.
Result<Part> once_more(const JobId& id, const Kept& kept) {
  auto spec = job::decode_spec(as_bytes(kept.spec));
  if (kept.spec.empty() || !spec)
    return fail(Code::kUnknownObject, "the command of job " + id.text + " is not kept",
                "submit it again: rexec submit");
  spec->forward_stdin = false;
  spec->tty.reset();
  spec->durable = true;
  spec->on_disconnect = job::OnDisconnect::kKeep;
  auto encoded = job::encode_spec(*spec);
  if (!encoded) return std::unexpected(encoded.error());
  Part part;
  part.spec = std::move(*encoded);
  if (const auto terms = read_terms(kept.terms)) part.terms.locks = terms->locks;
  return part;
}

// The flags of `run` are not those of `rerun`.
Error of_rerun(Error error, const JobId& id, const std::string& node) {
  if (error.code == Code::kNodeOffline)
    error.hint = "see: rexec node ls\nrun it when the node is back: rexec node wait " + node +
                 " && rexec rerun " + id.text;
  return error;
}

}  // namespace

Result<JobQuery> ClientSession::read_query(const wire::Map& args) const {
  JobQuery query;
  query.asker = identity_.id;
  query.limit = std::clamp<std::uint64_t>(wire::u64_or(args, "limit", 50), 1, kMostListed);
  query.filter.node_name = wire::text_or(args, "node");
  query.filter.state = wire::text_or(args, "state");
  if (wire::bool_or(args, "all", false) || !query.filter.state.empty())
    query.which = JobQuery::Which::kAll;
  if (!hub_.is_admin(identity_.id)) query.filter.owner = {identity_.id};
  if (const std::string owner = wire::text_or(args, "owner"); !owner.empty()) {
    const UserId id = user_named(hub_, owner);
    // Whom one may not see is as unknown as who is not there.
    if (id.empty() || (!query.filter.owner.empty() && query.filter.owner != id))
      return fail(Code::kUnknownObject, "no user \"" + owner + "\" whose jobs you may see",
                  "see: rexec user ls");
    query.filter.owner = id;
  }
  if (const std::string after = wire::text_or(args, "after"); !after.empty()) {
    auto place = parse_cursor(after);
    if (!place) return std::unexpected(place.error());
    query.after = std::move(*place);
  }
  return query;
}

void ClientSession::job_ls(const wire::Map& args, const Respond& respond) {
  auto query = read_query(args);
  if (!query) return respond(std::unexpected(query.error()));
  know_node(hub_, *query, [&hub = hub_, query = *query, respond](const Result<void>& known) {
    if (!known) return respond(std::unexpected(known.error()));
    list_jobs(hub, query, respond);
  });
}

void ClientSession::with_job(const wire::Map& args, const Respond& respond, JobVerb verb) {
  hub_.find_job(identity_.id, wire::text_or(args, args.contains("prefix") ? "prefix" : "job"),
                [self = shared_from_this(), respond,
                 verb = std::move(verb)](const Result<std::shared_ptr<Job>>& job) {
                  if (!self->serves()) return;
                  if (!job) return respond(std::unexpected(job.error()));
                  verb(*job, respond);
                });
}

void ClientSession::job_show(const wire::Map& args, const Respond& respond) {
  with_job(args, respond, [this](const std::shared_ptr<Job>& job, const Respond& answer) {
    find_lost_output(hub_, job, [self = shared_from_this(), job, answer](const wire::Map& lost) {
      if (!self->serves()) return;
      self->hub_.dispatcher().refresh(*job);
      wire::Map map = job_to_map(*job);
      map["ticket"] = job->ticket;
      map.update(lost);
      if (job->key.attempt == 1 && !job->next_attempt) return answer(map);
      self->add_attempts(job->key.job, std::move(map), answer);
    });
  });
}

// How the attempts before ended.
void ClientSession::add_attempts(const JobId& job, wire::Map map, const Respond& respond) {
  using Rows = std::vector<store::AttemptRow>;
  hub_.ask<Rows>(
      [job](store::Database& db) -> Result<Rows> { return store::list_attempts(db, job); },
      [map = std::move(map), respond](const Result<Rows>& rows) mutable {
        if (!rows) return respond(std::unexpected(rows.error()));
        wire::Map list = wire::Map::array();
        for (const auto& row : *rows) {
          wire::Map record = wire::Map::parse(row.record, nullptr, false);
          if (!record.is_object()) continue;
          record["attempt"] = row.attempt;
          list.push_back(std::move(record));
        }
        map["attempts"] = std::move(list);
        respond(map);
      });
}

void ClientSession::job_wait(const wire::Map& args, const Respond& respond) {
  const Millis most{
      static_cast<std::int64_t>(std::min(wire::u64_or(args, "away_ms", 0), kMostAway))};
  with_job(args, respond, [this, most](const std::shared_ptr<Job>& job, const Respond& answer) {
    const auto open = std::make_shared<Respond>(answer);
    const std::uint64_t number = await_end(job, [open, job] {
      if (const auto tell = std::exchange(*open, {})) tell(job_to_map(*job));
    });
    if (most > Millis{0}) wait_for_node(job, most, {open, number});
  });
}

// A job that no node has been told of waits for that, however long. What is answered waits for
// nothing more.
void ClientSession::wait_for_node(const std::shared_ptr<Job>& job, Millis most,
                                  const JobWait& wait) {
  if (!*wait.open || !serves()) return;
  const bool held = hub_.dispatcher().is_held(job->key.job);
  const Nanos away = held ? Nanos::zero() : hub_.away_for(job->node);
  if (away >= most) {
    const auto tell = std::exchange(*wait.open, {});
    waits_.erase(wait.number);
    return tell(fail(Code::kNodeOffline, "node \"" + job->node_name + "\" is offline",
                     "the job may go on there: rexec wait " + job->key.job.text));
  }
  hub_.after(std::clamp(std::chrono::ceil<Millis>(most - away), Millis{1}, kLookAgain),
             [weak = weak_from_this(), job, most, wait] {
               if (const auto self = weak.lock()) self->wait_for_node(job, most, wait);
             });
}

void ClientSession::job_stop(const wire::Map& args, const Respond& respond) {
  std::optional<std::uint64_t> grace;
  if (args.contains("grace_ms"))
    grace = std::min(wire::u64_or(args, "grace_ms", job::kDefaultGraceMs), job::kMaxOrderedGraceMs);
  with_job(args, respond, [this, grace](const std::shared_ptr<Job>& job, const Respond& answer) {
    hub_.order_stop(job, grace, actor(),
                    [weak = weak_from_this(), job, answer](const Result<wire::Map>& ordered) {
                      const auto self = weak.lock();
                      if (!ordered || !ordered->contains("taken")) return answer(ordered);
                      if (self) self->await_end(job, [job, answer] { answer(job_to_map(*job)); });
                    });
  });
}

// Said for a client that cannot say it, and told to the node once: where that is away the node
// counts the client's silence, unless it is asked again.
void ClientSession::job_client_ended(const wire::Map& args, const Respond& respond) {
  with_job(args, respond, [this](const std::shared_ptr<Job>& job, const Respond& answer) {
    if (job->owner.text != identity_.id)
      return answer(fail(Code::kDenied, "job " + job->key.job.text + " is another user's"));
    if (job->is_final() || job->is_detached) return answer(wire::Map::object());
    if (hub_.dispatcher().is_held(job->key.job)) {
      hub_.dispatcher().left(job->key.job, true);
      return answer(wire::Map::object());
    }
    const Node* node = hub_.registry().find(job->node);
    if (node == nullptr) return answer(wire::Map::object());
    hub_.ask_node(*node, "job.client_ended",
                  {{"job", job->key.job.text}, {"attempt", job->key.attempt}}, answer);
  });
}

void ClientSession::job_rm(const wire::Map& args, const Respond& respond) {
  with_job(args, respond, [this](const std::shared_ptr<Job>& job, const Respond& answer) {
    // One that no node has heard of ends here; its row goes after that is written.
    if (!job->is_final() && hub_.dispatcher().is_held(job->key.job))
      hub_.dispatcher().cancel(*job, SIGTERM, actor(), {});
    remove(*job, answer);
  });
}

void ClientSession::job_rerun(const wire::Map& args, const Respond& respond) {
  with_job(args, respond,
           [this](const std::shared_ptr<Job>& job, const Respond& answer) { rerun(*job, answer); });
}

void ClientSession::rerun(const Job& job, const Respond& respond) {
  const auto kept_in_memory = job.spec ? job.spec->bytes() : nullptr;
  hub_.ask<Kept>(
      [id = job.key.job, hash = job.spec_hash,
       kept_in_memory](store::Database& db) -> Result<Kept> {
        Kept kept;
        kept.spec = kept_in_memory ? *kept_in_memory : store::find_spec(db, hash).value_or("");
        const auto terms = store::find_terms(db, id);
        if (terms) kept.terms = wire::Map::parse(*terms, nullptr, false);
        return kept;
      },
      [this, self = shared_from_this(), id = job.key.job, node = job.node_name,
       respond](const Result<Kept>& kept) {
        if (!self->serves()) return;
        if (!kept) return respond(std::unexpected(kept.error()));
        auto part = once_more(id, *kept);
        if (!part) return respond(std::unexpected(part.error()));
        part->targets = node;
        Submit submit;
        submit.owner = {identity_.id};
        submit.owner_name = name_;
        submit.request = to_hex(random_request());
        submit.is_detached = true;
        submit.parts.push_back(std::move(*part));
        fan_out(hub_, std::move(submit), [respond, id, node](const Result<Accepted>& accepted) {
          if (!accepted) return respond(std::unexpected(of_rerun(accepted.error(), id, node)));
          respond(job_to_map(*accepted->jobs.front()));
        });
      });
}

void ClientSession::remove(const Job& job, const Respond& respond) {
  if (!job.is_final())
    return respond(fail(Code::kConflict,
                        "job " + job.key.job.text + " is still " + job.shown_state(),
                        "end it first: rexec stop " + job.key.job.text));
  const AttemptKey key = job.key;
  const NodeId node_id = job.node;
  if (Job* held = hub_.jobs().find(key.job)) held->is_removed = true;
  const auto gone = std::make_shared<store::Pruned>();
  hub_.post(
      [key, who = actor(), gone](store::Database& db) {
        const WallTime now = wall_now();
        *gone = {{key.job}, {}};
        if (auto freed = store::remove_job_but_key(db, key.job, now))
          gone->freed.push_back(std::move(*freed));
        store::append_audit(db, now, {who, "job.rm", "job/" + key.job.text, ""});
      },
      [this, self = shared_from_this(), key, node_id, gone, respond](const Result<void>& saved) {
        if (Job* kept = saved ? nullptr : hub_.jobs().find(key.job)) kept->is_removed = false;
        if (!saved) return respond(std::unexpected(saved.error()));
        fail_point(FailPoint::kControllerRemoveCommitted);
        hub_.forget_jobs(*gone);
        const Node* node = hub_.registry().find(node_id);
        if (node != nullptr && node->link != nullptr)
          node->link->request("job.remove", {{"job", key.job.text}, {"attempt", key.attempt}},
                              [](const Result<wire::Map>&) {});
        respond(wire::Map{{"removed", key.job.text}});
      });
}

}  // namespace rexec::controller
