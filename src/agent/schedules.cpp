// What is begun is on disk before it is started, everything else a moment later. Timers are short
// and the wall clock is read anew each time, so that a clock that is set, and a machine that slept,
// are noticed.
#include "src/agent/schedules.hpp"

#include <algorithm>
#include <set>

#include "src/agent/schedule_files.hpp"
#include "src/base/fail_point.hpp"
#include "src/base/log.hpp"
#include "src/job/spec/spec.hpp"

namespace rexec::agent {

using Found = SchedulePorts::Found;

namespace {

constexpr Millis kLookAtClock = std::chrono::seconds(20);
constexpr Millis kFlushAfter = std::chrono::seconds(1);
constexpr std::size_t kMaxHeld = 20'000;
constexpr std::size_t kMaxSpecs = 64u << 20;  // of all of them
// Of states in one message, which may have 256 KiB.
constexpr std::size_t kMaxPage = 128 << 10;
constexpr std::size_t kMaxGone = 256;
constexpr std::size_t kMaxDropped = 8'000;  // ids in one answer
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
    spec_bytes_ += definition.spec.size();
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
    of_job_[job] = id;
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
  for (auto& [id, held] : held_) tick(id, held, now);
  arm();
}

void Schedules::tick(const std::string& id, HeldSchedule& held, WallTime now) {
  const WallTime cursor = held.progress().cursor;
  const Steps steps = held.tick(now);
  if (held.progress().cursor != cursor) changed(id);
  perform(id, steps);
}

void Schedules::arm() {
  std::optional<WallTime> next;
  for (const auto& [id, held] : held_)
    if (const auto due = held.next_due()) next = std::min(next.value_or(*due), *due);
  wakes_.reset();
  next ? wake_at(*next) : ports_.wake_after(std::nullopt);
}

void Schedules::wake_at(WallTime due) {
  wakes_ = due;
  ports_.wake_after(std::clamp(due - wall_now(), Millis{0}, kLookAtClock));
}

void Schedules::perform(const std::string& id, const Steps& steps) {
  const auto held = held_.find(id);
  if (held == held_.end()) return;
  for (const Step& step : steps)
    if (step.kind == Step::Kind::kStart) of_job_[step.firing.job] = id;
  if (std::ranges::any_of(steps, [](const Step& s) { return s.kind == Step::Kind::kStart; })) {
    save_one(id);
  }
  for (const Step& step : steps) {
    const auto at = held_.find(id);
    if (at == held_.end()) return;
    if (step.kind == Step::Kind::kStart) {
      fail_point(FailPoint::kNetScheduleBegun);
      start(id, step.firing);
      continue;
    }
    ports_.stop(step.firing.job);
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
    of_job_.erase(job);
    perform(id, at->second.ended(job));
  } else {
    of_job_.erase(job);
    log_warn("a scheduled job could not be started",
             {{"schedule", at->second.definition().name}, {"why", error.message}});
    perform(id, at->second.failed(job, error.message));
  }
  changed(id);
}

void Schedules::job_ended(const JobId& job) {
  const auto node = of_job_.extract(job);
  const auto at = node.empty() ? held_.end() : held_.find(node.mapped());
  if (at == held_.end()) return;
  const std::string id = at->first;
  perform(id, at->second.ended(job));
  changed(id);
}

// ---- what the controller asks

Result<wire::Map> Schedules::answer(const std::string& verb, const wire::Map& args) {
  if (verb == "schedule.list") return list(args);
  if (verb == "schedule.put") return put(args);
  if (verb == "schedule.keep") return keep(args);
  return fail(Code::kProtocol, "unknown verb");
}

Result<wire::Map> Schedules::put(const wire::Map& args) {
  auto definition = decode_definition(args);
  if (!definition) return std::unexpected(definition.error());
  const std::string id = definition->id;
  const auto at = held_.find(id);
  const std::size_t before = at == held_.end() ? 0 : at->second.definition().spec.size();
  const std::size_t specs = spec_bytes_ - before + definition->spec.size();
  if (at == held_.end() && (held_.size() >= kMaxHeld || specs > kMaxSpecs))
    return fail(Code::kLimit, "this node holds as many schedules as it can");
  spec_bytes_ = specs;
  if (at != held_.end()) {
    at->second.replace(std::move(*definition));
  } else {
    ScheduleProgress progress;
    progress.cursor = cursor_in(args);
    if (auto known = gone_.extract(id); !known.empty()) progress = std::move(known.mapped());
    held_.emplace(id, HeldSchedule(node_, std::move(*definition), std::move(progress)));
  }
  fail_point(FailPoint::kNetScheduleTaken);
  save_definition(id);
  save_one(id);
  HeldSchedule& held = held_.at(id);
  tick(id, held, wall_now());
  if (const auto due = held.next_due(); due && (!wakes_ || *due < *wakes_)) wake_at(*due);
  return held.state();
}

// In pages: `after` is the last one of the page before.
Result<wire::Map> Schedules::list(const wire::Map& args) const {
  const std::string after = wire::text_or(args, "after");
  auto held = held_.upper_bound(after);
  auto gone = gone_.upper_bound(after);
  wire::Map page = wire::Map::array();
  std::size_t bytes = 0;
  while (held != held_.end() || gone != gone_.end()) {
    const bool is_held = gone == gone_.end() || (held != held_.end() && held->first < gone->first);
    const std::string& id = is_held ? (held++)->first : (gone++)->first;
    wire::Map state = *state_of(id);
    bytes += wire::pack(state).size();
    page.push_back(std::move(state));
    if (bytes >= kMaxPage) return wire::Map{{"schedules", std::move(page)}, {"more", true}};
  }
  return wire::Map{{"schedules", std::move(page)}};
}

Result<wire::Map> Schedules::keep(const wire::Map& args) {
  for (const wire::Map& id : wire::child_or_empty(args, "ids"))
    if (id.is_string() && naming_.size() < 2 * kMaxHeld) naming_.insert(id.get<std::string>());
  if (wire::bool_or(args, "more", false)) return wire::Map::object();
  const std::set<std::string> named = std::exchange(naming_, {});
  std::vector<std::string> dropped;
  for (const auto& [id, held] : held_)
    if (!named.contains(id)) dropped.push_back(id);
  for (const std::string& id : dropped) forget(id);
  // What the controller does not hear of here it hears of at the next schedule.list.
  if (dropped.size() > kMaxDropped) dropped.resize(kMaxDropped);
  // It is the last word of an exchange: what is held now is what the controller wants.
  for (auto& [id, held] : held_) perform(id, held.heard());
  wake();
  return wire::Map{{"dropped", dropped}};
}

void Schedules::forget(const std::string& id) {
  auto node = held_.extract(id);
  spec_bytes_ -= node.mapped().definition().spec.size();
  for (const auto& [nominal, begun] : node.mapped().progress().begun)
    of_job_.erase(begun.firing.job);
  if (gone_.size() >= kMaxGone) {
    const auto oldest =
        std::ranges::min_element(gone_, {}, [](const auto& entry) { return entry.second.cursor; });
    remove_progress(data_dir_, oldest->first);
    gone_.erase(oldest);
  }
  gone_[id] = node.mapped().give_up();
  remove_definition(data_dir_, id);
  save_one(id);
}

std::optional<wire::Map> Schedules::state_of(const std::string& id) const {
  if (const auto held = held_.find(id); held != held_.end()) return held->second.state();
  if (const auto gone = gone_.find(id); gone != gone_.end())
    return progress_state(id, 0, 0, gone->second);
  return std::nullopt;
}

wire::Map Schedules::news() {
  wire::Map page = wire::Map::array();
  std::size_t bytes = 0;
  while (!news_.empty() && bytes < kMaxPage) {
    const auto node = news_.extract(news_.begin());
    auto state = state_of(node.value());
    if (!state) continue;
    bytes += wire::pack(*state).size();
    page.push_back(std::move(*state));
  }
  return page;
}

// ---- the disk

void Schedules::changed(const std::string& id) {
  news_.insert(id);
  unsaved_.insert(id);
  ports_.flush_after(kFlushAfter);
  ports_.changed();
}

void Schedules::save() {
  ports_.flush_after(std::nullopt);
  const auto ids = unsaved_;
  for (const std::string& id : ids) save_one(id);
}

void Schedules::save_one(const std::string& id) {
  unsaved_.erase(id);
  const auto held = held_.find(id);
  const auto gone = gone_.find(id);
  if (held == held_.end() && gone == gone_.end()) return;
  const auto saved =
      save_progress(data_dir_, id, held != held_.end() ? held->second.progress() : gone->second);
  if (!saved)
    log_error("how far a schedule has come cannot be kept", {{"why", saved.error().message}});
}

void Schedules::save_definition(const std::string& id) {
  if (auto saved = agent::save_definition(data_dir_, held_.at(id).definition()); !saved)
    log_error("a schedule cannot be kept", {{"why", saved.error().message}});
}

}  // namespace rexec::agent
