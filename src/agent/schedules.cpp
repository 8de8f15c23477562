// What is begun is on disk before it is started, everything else a moment later. Timers are short
// and the wall clock is read anew each time, so that a clock that is set, and a machine that slept,
// are noticed.
#include "src/agent/schedules.hpp"

#include <algorithm>
#include <set>

#include "src/agent/schedule_files.hpp"
#include "src/base/fail_point.hpp"
#include "src/base/log.hpp"
#include "src/job/spec.hpp"

namespace rexec::agent {

using Found = SchedulePorts::Found;

namespace {

constexpr Millis kLookAtClock = std::chrono::seconds(20);
constexpr Millis kFlushAfter = std::chrono::seconds(1);
constexpr std::size_t kMaxHeld = 1000;
constexpr std::size_t kMaxSpecs = 16u << 20;  // of all of them
constexpr std::size_t kMaxGone = 256;
// A job that was begun longer ago may have run, been reported and been dropped since (its directory
// is kept for a week): starting it again could be a second time.
constexpr Millis kStartAgain = std::chrono::hours(24);

// The spec of one firing: the job is told which it is.
std::string spec_of(const ScheduleDefinition& definition, const HeldFiring& firing) {
  auto spec = job::decode_spec(as_bytes(definition.spec));
  if (!spec) return definition.spec;
  std::erase_if(spec->env, [](const auto& variable) {
    return variable.first == "REXEC_SCHEDULE" || variable.first == "REXEC_NOMINAL";
  });
  spec->env.emplace_back("REXEC_SCHEDULE", definition.name);
  spec->env.emplace_back("REXEC_NOMINAL", to_iso8601(firing.nominal));
  spec->durable = true;
  spec->on_disconnect = job::OnDisconnect::kKeep;
  return job::encode_spec(*spec).value_or(definition.spec);
}

std::uint64_t grace_of(const ScheduleDefinition& definition) {
  auto spec = job::decode_spec(as_bytes(definition.spec));
  return spec ? spec->grace_ms : 5000;
}

}  // namespace

Schedules::Schedules(std::string data_dir, NodeId node, SchedulePorts ports)
    : data_dir_(std::move(data_dir)), node_(std::move(node)), ports_(std::move(ports)) {}

void Schedules::begin() {
  ScheduleFiles kept = load_schedules(data_dir_);
  for (auto& [id, definition] : kept.definitions) {
    auto progress = kept.progress.extract(id);
    // Without its progress a schedule is a new one, as of now.
    ScheduleProgress at;
    at.cursor = wall_now();
    if (!progress.empty()) at = std::move(progress.mapped());
    held_.emplace(id, HeldSchedule(node_, std::move(definition), std::move(at)));
  }
  gone_ = std::move(kept.progress);
  for (auto& [id, held] : held_) resume(held);
  wake();
}

void Schedules::resume(HeldSchedule& held) {
  const std::string id = held.definition().id;
  const auto begun = held.progress().begun;
  held.restore(wall_now());
  for (const auto& [nominal, one] : begun) {
    const JobId job = one.firing.job;
    if (!one.is_started && wall_now() - nominal < kStartAgain) {
      start(id, one.firing);
      continue;
    }
    ports_.find(job, [this, job](Found found, const Error&) {
      if (found != Found::kRuns) job_ended(job);
    });
  }
}

void Schedules::wake() {
  const WallTime now = wall_now();
  bool is_changed = false;
  for (auto& [id, held] : held_) {
    const WallTime cursor = held.progress().cursor;
    const Steps steps = held.tick(now);
    is_changed = is_changed || held.progress().cursor != cursor;
    perform(id, steps);
  }
  if (is_changed) changed();
  arm();
}

void Schedules::arm() {
  std::optional<WallTime> next;
  for (const auto& [id, held] : held_)
    if (const auto due = held.next_due()) next = std::min(next.value_or(*due), *due);
  if (!next) return ports_.wake_after(std::nullopt);
  ports_.wake_after(std::clamp(*next - wall_now(), Millis{0}, kLookAtClock));
}

void Schedules::perform(const std::string& id, const Steps& steps) {
  if (std::ranges::any_of(steps, [](const Step& s) { return s.kind == Step::Kind::kStart; }))
    save();
  for (const Step& step : steps) {
    const auto at = held_.find(id);
    if (at == held_.end()) return;
    if (step.kind == Step::Kind::kStart) {
      fail_point(FailPoint::kNetScheduleBegun);
      start(id, step.firing);
      continue;
    }
    ports_.stop(step.firing.job, grace_of(at->second.definition()));
  }
}

void Schedules::start(const std::string& id, const HeldFiring& firing) {
  const ScheduleDefinition& definition = held_.at(id).definition();
  log_info("schedule fires", {{"schedule", definition.name},
                              {"nominal", to_iso8601(firing.nominal)},
                              {"job", firing.job.text}});
  ports_.start({{firing.job, 1}, firing.ticket, definition.owner, false},
               spec_of(definition, firing),
               [this, id, job = firing.job](Found found, const Error& error) {
                 on_start(id, job, found, error);
               });
}

void Schedules::on_start(const std::string& id, const JobId& job, Found found, const Error& error) {
  const auto at = held_.find(id);
  if (at == held_.end()) return;
  if (found != Found::kNot) fail_point(FailPoint::kNetScheduleStarted);
  if (found == Found::kRuns) {
    at->second.started(job);
  } else if (found == Found::kEnded) {
    perform(id, at->second.ended(job));
  } else {
    log_warn("a scheduled job could not be started",
             {{"schedule", at->second.definition().name}, {"why", error.message}});
    perform(id, at->second.failed(job, error.message));
  }
  changed();
}

void Schedules::job_ended(const JobId& job) {
  for (auto& [id, held] : held_) {
    const std::size_t running = held.progress().begun.size();
    const Steps steps = held.ended(job);
    if (held.progress().begun.size() == running && steps.empty()) continue;
    perform(id, steps);
    return changed();
  }
}

// ---- what the controller asks

Result<wire::Map> Schedules::answer(const std::string& verb, const wire::Map& args) {
  if (verb == "schedule.list") return wire::Map{{"schedules", states()}};
  if (verb == "schedule.put") return put(args);
  if (verb == "schedule.keep") return keep(args);
  return fail(Code::kProtocol, "unknown verb");
}

Result<wire::Map> Schedules::put(const wire::Map& args) {
  auto definition = decode_definition(args);
  if (!definition) return std::unexpected(definition.error());
  std::size_t specs = definition->spec.size();
  for (const auto& [id, held] : held_) specs += held.definition().spec.size();
  const std::string id = definition->id;
  const auto at = held_.find(id);
  if (at == held_.end() && (held_.size() >= kMaxHeld || specs > kMaxSpecs))
    return fail(Code::kLimit, "this node holds as many schedules as it can");
  if (at != held_.end()) {
    at->second.replace(std::move(*definition));
  } else {
    ScheduleProgress progress;
    progress.cursor = WallTime{Millis{wire::i64_or(args, "after_ms", 0)}};
    if (auto known = gone_.extract(id); !known.empty()) progress = std::move(known.mapped());
    held_.emplace(id, HeldSchedule(node_, std::move(*definition), std::move(progress)));
  }
  fail_point(FailPoint::kNetScheduleTaken);
  save_all();
  wake();
  return held_.at(id).state();
}

Result<wire::Map> Schedules::keep(const wire::Map& args) {
  std::set<std::string> named;
  for (const wire::Map& id : wire::child_or_empty(args, "ids"))
    if (id.is_string()) named.insert(id.get<std::string>());
  std::vector<std::string> dropped;
  for (const auto& [id, held] : held_)
    if (!named.contains(id)) dropped.push_back(id);
  for (const std::string& id : dropped) forget(id);
  if (!dropped.empty()) save_all();
  // It is the last word of an exchange: what is held now is what the controller wants.
  for (auto& [id, held] : held_) perform(id, held.heard());
  wake();
  return wire::Map{{"dropped", dropped}};
}

void Schedules::forget(const std::string& id) {
  auto node = held_.extract(id);
  if (gone_.size() >= kMaxGone) {
    const auto oldest =
        std::ranges::min_element(gone_, {}, [](const auto& entry) { return entry.second.cursor; });
    gone_.erase(oldest);
  }
  gone_[id] = node.mapped().give_up();
}

wire::Map Schedules::states() const {
  wire::Map list = wire::Map::array();
  for (const auto& [id, held] : held_) list.push_back(held.state());
  for (const auto& [id, progress] : gone_) list.push_back(progress_state(id, 0, 0, progress));
  return list;
}

// ---- the disk

void Schedules::changed() {
  ports_.flush_after(kFlushAfter);
  ports_.changed();
}

void Schedules::save() {
  ports_.flush_after(std::nullopt);
  wire::Map by_id = wire::Map::object();
  for (const auto& [id, held] : held_) by_id[id] = encode_progress(held.progress());
  for (const auto& [id, progress] : gone_) by_id[id] = encode_progress(progress);
  if (auto saved = save_progress(data_dir_, by_id); !saved)
    log_error("how far the schedules have come cannot be kept", {{"why", saved.error().message}});
}

void Schedules::save_all() {
  wire::Map list = wire::Map::array();
  for (const auto& [id, held] : held_) list.push_back(encode_definition(held.definition()));
  if (auto saved = save_definitions(data_dir_, list); !saved)
    log_error("the schedules cannot be kept", {{"why", saved.error().message}});
  save();
}

}  // namespace rexec::agent
