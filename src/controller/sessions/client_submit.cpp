// A client's submit, from its first frame to the answer: the parts and their specs as they come,
// the jobs that it is to start after, room on the disk, then fan_out(). And those of its streams
// that wait with a job which has not started.
#include <algorithm>
#include <csignal>

#include "src/base/fail_point.hpp"
#include "src/controller/sessions/client_session.hpp"
#include "src/controller/state/agent_session.hpp"
#include "src/job/spec/spec.hpp"

namespace rexec::controller {
namespace {

// Of all parts together.
constexpr std::size_t kMostSpecs = 16u << 20;

Result<Part> read_part(const wire::Map& map) {
  auto targets = wire::get_text(map, "targets");
  if (!targets) return std::unexpected(targets.error());
  auto size = wire::get_u64(map, "spec_size");
  if (!size) return std::unexpected(size.error());
  if (*size > job::kMaxSpecBytes)
    return fail(Code::kLimit,
                "the command, its environment and script are " + std::to_string(*size) +
                    " bytes, the limit is 4 MiB",
                "send large input through stdin: rexec run -i");
  auto terms = read_terms(wire::child_or_empty(map, "terms"));
  if (!terms) return std::unexpected(terms.error());
  Part part;
  part.name = wire::text_or(map, "name");
  part.targets = std::move(*targets);
  part.spec_size = *size;
  part.terms = std::move(*terms);
  return part;
}

// In a DAG `after` names earlier parts: so there is no cycle.
using Places = std::unordered_map<std::string, std::size_t>;
Result<void> link_part(Part& part, Places& before) {
  if (auto good = check_name("job", part.name); !good) return good;
  if (before.contains(part.name)) return fail(Code::kUsage, "two jobs are named " + part.name);
  for (const Dependency& one : std::exchange(part.terms.after, {})) {
    const auto at = before.find(one.job.text);
    if (at == before.end())
      return fail(Code::kUsage, "job [" + part.name + "] is after \"" + one.job.text +
                                    "\", which does not stand before it");
    part.after.push_back({at->second, one.when});
  }
  before.emplace(part.name, before.size());
  return {};
}

Result<std::vector<Part>> read_parts(const wire::Map& args, Kind kind) {
  std::vector<Part> parts;
  if (kind == Kind::kPlain) {
    auto part = read_part(args);
    if (!part) return std::unexpected(part.error());
    parts.push_back(std::move(*part));
    return parts;
  }
  const wire::Map& dag = wire::child_or_empty(args, "dag");
  if (dag.empty() || dag.size() > kMostParts)
    return fail(Code::kLimit, "a DAG has 1 to " + std::to_string(kMostParts) + " jobs, this one " +
                                  std::to_string(dag.size()));
  Places places;
  for (const wire::Map& entry : dag) {
    auto part = read_part(entry.is_object() ? entry : wire::Map::object());
    if (!part) return std::unexpected(part.error());
    if (auto linked = link_part(*part, places); !linked) return std::unexpected(linked.error());
    parts.push_back(std::move(*part));
  }
  return parts;
}

// What they take in memory beside their specs: a part is a few strings, a dependency one.
std::uint64_t size_of(const std::vector<Part>& parts) {
  std::uint64_t bytes = 0;
  for (const Part& part : parts)
    bytes += 512 + part.targets.size() + part.spec_size + 64 * part.after.size() +
             128 * (part.terms.locks.size() + part.terms.after.size());
  return bytes;
}

// Of jobs in one message, which has at most 256 KiB.
constexpr std::size_t kMostInAnswer = 200;
// Of an answer, before its next part.
constexpr std::size_t kMostAnswerQueued = 128 << 10;
// Streams at once, each an OPEN of some 100 bytes on the control lane.
constexpr std::size_t kMostOpened = 300;

wire::Map accepted_entry(const Job& job, const std::string& name) {
  wire::Map entry{{"job", job.key.job.text},
                  {"attempt", job.key.attempt},
                  {"node", job.node_name},
                  {"ticket", job.ticket}};
  if (!name.empty()) entry["name"] = name;
  if (!job.waiting.empty()) entry["waiting"] = job.waiting;
  // Only a job that no node ever saw has its record here; all others bring it on their attach
  // stream, after the output.
  if (job.ended_here()) entry["record"] = *job.record;
  return entry;
}

}  // namespace

void ClientSession::open_submit(wire::StreamId stream, const wire::Map& args) {
  auto request = wire::get_text(args, "request");
  // Hexadecimal: what the controller makes ids of by itself (a schedule's firing) never is.
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (!request || request->size() < 16 || request->size() > 64 ||
      !std::ranges::all_of(*request, is_hex))
    return driver_->session().reset(stream, {Code::kProtocol, "a submit that cannot be read", {}});
  Upload upload;
  Submit& submit = upload.submit;
  submit.owner = {identity_.id};
  submit.owner_name = name_;
  submit.request = *request;
  submit.is_detached = wire::text_or(args, "mode") == "detached";
  submit.is_keyed = wire::bool_or(args, "keyed", false);
  submit.kind = args.contains("dag") ? Kind::kDag : Kind::kPlain;
  auto parts = read_parts(args, submit.kind);
  if (!parts) return driver_->session().reset(stream, parts.error());
  submit.parts = std::move(*parts);
  for (const Part& part : submit.parts) upload.size += part.spec_size;
  if (upload.size > kMostSpecs)
    return driver_->session().reset(
        stream, {Code::kLimit, "the jobs of a DAG have more than 16 MiB of commands", {}});
  auto share = hub_.budget().take(submit.owner, Resource::kUploads, size_of(submit.parts));
  if (!share) return driver_->session().reset(stream, share.error());
  upload.share = std::move(*share);
  if (submit.kind == Kind::kDag && !submit.is_detached)
    return driver_->session().reset(stream, {Code::kProtocol, "a DAG is detached", {}});
  upload.is_detached = submit.is_detached;
  upload.resume = wire::bool_or(args, "resume", false);
  upload.pace = wire::bool_or(args, "pace", false);
  upload.times = wire::bool_or(args, "times", false);
  upload.window = wire::u64_or(args, "window", ~std::uint64_t{0});
  uploads_[stream] = std::move(upload);
}

// The specs come one after the other, as the parts do.
void ClientSession::spec_data(wire::StreamId stream, ByteSpan bytes) {
  const auto at = uploads_.find(stream);
  if (at == uploads_.end()) return;
  Upload& upload = at->second;
  upload.received += bytes.size();
  if (upload.received > upload.size) {
    uploads_.erase(at);
    return driver_->session().reset(stream,
                                    {Code::kLimit, "more of a spec than was announced", {}});
  }
  std::string_view rest = as_text(bytes);
  while (!rest.empty()) {
    Part& part = upload.submit.parts[upload.part];
    const std::size_t n = std::min(rest.size(), part.spec_size - part.spec.size());
    part.spec.append(rest.substr(0, n));
    rest.remove_prefix(n);
    if (part.spec.size() == part.spec_size) ++upload.part;
  }
  driver_->session().grant(stream, upload.received + wire::kInitialWindow);
}

void ClientSession::submit_complete(wire::StreamId stream) {
  auto node = uploads_.extract(stream);
  if (node.empty() || !still_allowed()) return;
  const auto upload = std::make_shared<Upload>(std::move(node.mapped()));
  if (upload->received != upload->size)
    return driver_->session().reset(stream, {Code::kProtocol, "a spec ended early", {}});
  fail_point(FailPoint::kControllerSubmitReceived);
  hub_.turns().ask(identity_.id, while_open(stream, [stream, upload](ClientSession& self) {
                     self.resolve_after(stream, upload, 0);
                   }));
}

// Whom a job is to start after: whole ids, and how those ended that have.
void ClientSession::resolve_after(wire::StreamId stream, const std::shared_ptr<Upload>& upload,
                                  std::size_t next) {
  Submit& submit = upload->submit;
  if (submit.kind == Kind::kDag || next == submit.parts.front().terms.after.size())
    return submit_when_settled(stream, upload);
  const std::string typed = submit.parts.front().terms.after[next].job.text;
  const auto found = [stream, upload, next](ClientSession& self,
                                            const Result<std::shared_ptr<Job>>& job) {
    if (!job)
      return self.driver_->session().reset(
          stream, {job.error().code, "--after: " + job.error().message, job.error().hint});
    const JobId id = (*job)->key.job;
    upload->submit.parts.front().terms.after[next].job = id;
    if ((*job)->is_final()) upload->submit.endings[id] = ending_of(**job);
    self.resolve_after(stream, upload, next + 1);
  };
  hub_.find_job(identity_.id, typed, while_open(stream, found));
}

void ClientSession::submit_when_settled(wire::StreamId stream,
                                        const std::shared_ptr<Upload>& upload) {
  const Part& part = upload->submit.parts.front();
  if (upload->submit.kind == Kind::kDag || part.terms.waits_for_node())
    return submit(stream, upload);
  // Whom it concerns is asked again then; an error too is fan_out's to tell.
  std::vector<NodeId> nodes;
  if (const auto selected = hub_.registry().select(part.targets))
    for (const Node* one : *selected) nodes.push_back(one->id);
  hub_.when_settled(nodes, while_open(stream, [stream, upload](ClientSession& self) {
                      self.submit(stream, upload);
                    }));
}

void ClientSession::submit(wire::StreamId stream, const std::shared_ptr<Upload>& upload) {
  if (!hub_.store().disk_low()) return submit_now(stream, upload);
  // The store looks for room whenever it has written something, be it nothing.
  const auto looked = [stream, upload](ClientSession& self, const Result<void>&) {
    if (!self.hub_.store().disk_low()) return self.submit_now(stream, upload);
    self.driver_->session().reset(
        stream, {Code::kStore,
                 "the controller's disk is full or nearly: new jobs are refused, others go on",
                 "make room on its machine, then try again"});
  };
  hub_.post([](store::Database&) {}, while_open(stream, looked));
}

void ClientSession::submit_now(wire::StreamId stream, const std::shared_ptr<Upload>& upload) {
  fan_out(hub_, std::move(upload->submit),
          [self = shared_from_this(), stream, upload](const Result<Accepted>& result) {
            if (result && !upload->is_detached) self->await_attach(*result);
            if (self->serves()) self->accepted(stream, *upload, result);
          });
}

// A job that waits is left by its client when this session ends before the client has attached.
void ClientSession::await_attach(const Accepted& accepted) {
  for (const auto& job : accepted.jobs) {
    if (!hub_.dispatcher().is_held(job->key.job)) continue;
    if (!serves()) hub_.dispatcher().left(job->key.job);
    if (open_) unattached_.insert(job->key.job);
  }
}

void ClientSession::accepted(wire::StreamId stream, const Upload& upload,
                             const Result<Accepted>& result) {
  wire::Session& session = driver_->session();
  driver_->flush_soon();
  if (!result) return session.reset(stream, result.error());
  if (!session.has_stream(stream)) return;
  const bool opens = !upload.is_detached && !upload.resume;
  const std::uint64_t window = wire::share_of_window(upload.window, result->jobs.size());
  answers_[stream] = {*result, 0, 0, opens, upload.pace, upload.times, window};
  answer_on();
}

void ClientSession::on_written() {
  answer_on();
  ask_next();
}

// A fleet's jobs in parts, the next when the last was written: whole, such an answer is more than a
// stream may have waiting.
void ClientSession::answer_on() {
  for (auto at = answers_.begin(); at != answers_.end();) {
    const wire::StreamId stream = at->first;
    Answer& answer = at->second;
    while (answer.told < answer.accepted.jobs.size() &&
           driver_->session().queued(stream) < kMostAnswerQueued)
      tell_part(stream, answer);
    const bool is_told = answer.told == answer.accepted.jobs.size();
    if (is_told && answer.opens) open_streams(answer);
    if (is_told && (!answer.opens || answer.opened == answer.told))
      at = answers_.erase(at);
    else
      ++at;
  }
}

void ClientSession::tell_part(wire::StreamId stream, Answer& answer) {
  const Accepted& all = answer.accepted;
  wire::Map jobs = wire::Map::array();
  while (answer.told < all.jobs.size() && jobs.size() < kMostInAnswer) {
    jobs.push_back(accepted_entry(*all.jobs[answer.told], all.names[answer.told]));
    ++answer.told;
  }
  wire::Session& session = driver_->session();
  wire::Map map{{"t", "accepted"}, {"jobs", std::move(jobs)}};
  if (!all.run.empty()) map["run"] = all.run.text;
  if (answer.told < all.jobs.size()) map["more"] = true;
  session.send_event(stream, map);
  driver_->flush_soon();
  if (answer.told < all.jobs.size()) return;
  session.end(stream);
  fail_point(FailPoint::kControllerAcceptedSent);
}

// To the client, for each job that starts at once; it asks for those that wait. As many as it may
// have waiting in front of everything else; what is written makes room for more.
void ClientSession::open_streams(Answer& answer) {
  for (std::size_t opened = 0; opened < kMostOpened; ++answer.opened) {
    if (answer.opened == answer.accepted.jobs.size()) return;
    const auto& job = answer.accepted.jobs[answer.opened];
    Node* node = hub_.registry().find(job->node);
    if (node == nullptr || node->link == nullptr) continue;
    if (hub_.dispatcher().is_held(job->key.job)) continue;
    if (job->ended_here()) continue;
    ++opened;
    const wire::StreamId to_client = driver_->session().open(
        "attach",
        {{"job", job->key.job.text}, {"attempt", job->key.attempt}, {"node", job->node_name}});
    std::uint64_t granted = answer.window;
    Router::Kept kept =
        keep_window(granted, hub_.budget().hold({identity_.id}, Resource::kAttachments, 1));
    driver_->session().limit_window(to_client, granted);
    node->link->attach(
        *job,
        {{"out", 0U},
         {"err", 0U},
         {"in", 0U},  // of a job that an earlier try began, too: its stdin is given once
         {"stdin", true},
         {"pace", answer.pace},
         {"times", answer.times},
         {"owns", true},
         {"window", granted}},
        {router_, to_client, std::move(kept)});
  }
  driver_->flush_soon();
}

// ---- streams that wait with a job

void ClientSession::wait_with(wire::StreamId stream, const Wanted& wanted, Job& job) {
  if (!wanted.follows) {  // what there is of its output, which is nothing
    parked_.erase(stream);
    return driver_->session().end(stream);
  }
  Dispatcher::Watcher watcher;
  watcher.on_wait = while_open(stream, [stream](ClientSession& self, const std::string& why) {
    self.driver_->session().send_event(stream, {{"t", "waiting"}, {"why", why}});
  });
  watcher.on_over = while_open(stream, [stream, wanted, id = job.key.job](ClientSession& self) {
    self.wait_is_over(stream, wanted, id);
  });
  unattached_.erase(job.key.job);
  waiters_[stream] = {job.key.job, hub_.dispatcher().watch(job, std::move(watcher), wanted.owns)};
}

void ClientSession::wait_is_over(wire::StreamId stream, const Wanted& wanted, const JobId& id) {
  waiters_.erase(stream);
  const auto job = hub_.jobs().share(id);
  if (!job) return driver_->session().reset(stream, {Code::kUnknownJob, "the job is gone", {}});
  if (attach_lost(stream, *job)) {
    parked_.erase(stream);
    return;
  }
  driver_->session().send_event(stream, {{"t", "waiting"}, {"why", ""}});
  attach_when_online(stream, wanted, id, job->node);
}

void ClientSession::stop_waiting(wire::StreamId stream) {
  const auto node = waiters_.extract(stream);
  if (node.empty()) return;
  const Waiter& waiter = node.mapped();
  hub_.dispatcher().unwatch(waiter.job, waiter.id, waiter.client_ended);
}

// Before there is a process: what would end one ends the wait. False: it is kept for the process.
bool ClientSession::signal_waiting(wire::StreamId stream, ByteSpan payload) {
  const auto map = wire::parse_map(payload);
  const auto job = hub_.jobs().share(waiters_.at(stream).job);
  if (!map || !job) return true;
  const std::string type = wire::text_or(*map, "t");
  const auto number = wire::u64_or(*map, "n", 0);
  if (type == "leave") {
    hub_.dispatcher().leave(*job);
  } else if (type == "ended") {
    waiters_.at(stream).client_ended = true;
  } else if (type == "stop") {
    hub_.dispatcher().cancel(*job, SIGTERM, actor(), {});
  } else if (type == "signal" && (number == SIGINT || number == SIGTERM)) {
    hub_.dispatcher().cancel(*job, static_cast<int>(number), actor(), {});
  } else {
    return false;
  }
  return true;
}

}  // namespace rexec::controller
