// What there is, which node is to hold what of it, and what nodes said of it. How it gets there is
// schedule_exchange.cpp.
#include "src/controller/state/schedules.hpp"

#include <algorithm>

#include "src/base/log.hpp"
#include "src/controller/core/node_words.hpp"
#include "src/controller/state/hub.hpp"
#include "src/pki/digest.hpp"
#include "src/select/parse.hpp"

namespace rexec::controller {
namespace {

// Labels and groups change in many places; this finds what nobody told.
constexpr Millis kLookAgain = std::chrono::seconds(10);
constexpr std::size_t kHalfUsed = schedule::kHeldFirings / 2;

std::int64_t to_ms(WallTime time) { return time.time_since_epoch().count(); }

}  // namespace

std::string firing_request(const std::string& schedule, WallTime nominal) {
  return schedule + "." + std::to_string(to_ms(nominal));
}

std::string schedule_of_request(const std::string& request) {
  const auto dot = request.find('.');
  if (dot == std::string::npos || !is_id(request.substr(0, dot), 's')) return {};
  return request.substr(0, dot);
}

Schedules::Schedules(Hub& hub) : hub_(hub) {}

void Schedules::load(const std::vector<store::ScheduleRow>& rows, const FindJob& find_job) {
  for (const auto& row : rows) {
    put(row);
    recall(all_.at(row.id), find_job);
  }
}

// What nodes told the last run of this process is forgotten. Of a schedule that is over its jobs
// say who has decided on its last firing.
void Schedules::recall(Schedule& schedule, const FindJob& find_job) {
  const WallTime now = wall_now();
  if (!schedule.rule || schedule.rule->next(now)) return;
  const store::ScheduleRow& row = schedule.row;
  for (const WallTime last : schedule::missed(*schedule.rule, row.since, now, 1)) {
    for (const Node* node : nodes_of(schedule)) {
      const JobId job = derive_job_id(row.owner, firing_request(row.id, last), node->id);
      if (!find_job(job)) continue;
      NodeProgress& progress = schedule.nodes[node->id];
      progress.cursor = last;
      progress.told = {{"fired", 1U}, {"last_ms", to_ms(last)}, {"last_job", job.text}};
    }
  }
}

Result<const Schedule*> Schedules::find(const std::string& user, const std::string& name) {
  for (const Schedule* schedule : visible_to(user))
    if (schedule->row.name == name || schedule->row.id == name) return schedule;
  return fail(Code::kUnknownObject, "no schedule \"" + name + "\"", "see: rexec schedule ls");
}

std::vector<const Schedule*> Schedules::visible_to(const std::string& user) {
  std::vector<const Schedule*> out;
  const bool is_admin = hub_.is_admin(user);
  for (const auto& [id, schedule] : all_)
    if (is_admin || schedule.row.owner.text == user) out.push_back(&schedule);
  std::ranges::sort(out, {}, [](const Schedule* one) { return one->row.name; });
  return out;
}

std::vector<Node*> Schedules::nodes_of(const Schedule& schedule) {
  std::vector<Node*> out;
  for (Node* node : hub_.registry().all())
    if (Registry::selects(schedule.selector, *node)) out.push_back(node);
  return out;
}

bool Schedules::is_decided(const Schedule& schedule, WallTime now) {
  const store::ScheduleRow& row = schedule.row;
  const auto came = schedule::missed(*schedule.rule, row.since, now, 1);
  if (came.empty()) return true;
  const WallTime last = came.back();
  return std::ranges::all_of(nodes_of(schedule), [&](const Node* node) {
    const auto known = schedule.nodes.find(node->id);
    const bool has_told = known != schedule.nodes.end() && known->second.cursor >= last;
    return has_told || node->enrolled > last;
  });
}

std::vector<std::string> Schedules::unheard_by(const Schedule& schedule,
                                               std::int64_t revision) const {
  std::vector<std::string> out;
  for (const Node* node : hub_.registry().all()) {
    if (node->link != nullptr) continue;
    const auto known = schedule.nodes.find(node->id);
    const std::int64_t has = known == schedule.nodes.end() ? 0 : known->second.revision;
    const bool is_concerned = has != 0 || Registry::selects(schedule.selector, *node);
    if (is_concerned && has != revision) out.push_back(node->name);
  }
  return out;
}

void Schedules::put(const store::ScheduleRow& row) {
  Schedule& slot = all_[row.id];
  if (slot.row.id.empty())
    slot.shares = {hub_.budget().hold(row.owner, Resource::kSchedules, 1),
                   hub_.budget().hold(row.owner, Resource::kScheduleSpecs, row.spec.size())};
  slot.row = row;
  slot.error.clear();
  const auto kind = schedule::rule_kind(row.kind);
  auto rule = schedule::TimeRule::make(
      {kind.value_or(schedule::RuleKind::kCron), row.rule, row.zone, row.created}, zones_);
  auto selector = select::parse_target(row.targets);
  if (rule) slot.rule.emplace(std::move(*rule));
  if (selector) slot.selector = std::move(*selector);
  if (!rule || !selector) {
    slot.error = rule ? selector.error().message : rule.error().message;
    log_error("a schedule cannot fire", {{"schedule", row.name}, {"why", slot.error}});
  }
  for (Node* node : hub_.registry().all()) look_at(*node, row.id);
  look_again();
}

void Schedules::remove(const std::string& id) {
  all_.erase(id);
  for (Node* node : hub_.registry().all()) look_at(*node, id);
}

bool Schedules::has_owner(const Schedule& schedule) const {
  return hub_.is_live_user(schedule.row.owner);
}

bool Schedules::is_wanted(const Schedule& schedule, const Node& node) const {
  return schedule.rule && has_owner(schedule) && Registry::selects(schedule.selector, node);
}

void Schedules::look_at(Node& node, const std::string& id) {
  if (node.link == nullptr) return;
  Link& link = links_[node.id];
  const auto schedule = all_.find(id);
  const bool is_due = schedule != all_.end() && is_wanted(schedule->second, node);
  const auto named = link.named.find(id);
  const bool is_right = named == link.named.end()
                            ? !is_due
                            : is_due && named->second == schedule->second.row.revision;
  if (!is_right) touch(node.id, id);
}

void Schedules::touch(const NodeId& node, const std::string& id) {
  Link& link = links_[node];
  link.dirty.insert(id);
  if (link.is_listed) turn_soon(node, link);
}

void Schedules::fleet_changed() {
  walk_again_ = true;
  if (all_.empty() || std::exchange(is_walking_, true)) return;
  walk_again_ = false;
  std::vector<NodeId> nodes;
  for (const Node* node : hub_.registry().all())
    if (node->link != nullptr) nodes.push_back(node->id);
  look_on(std::move(nodes), {});
}

// The last of `nodes` is the one that is looked at, from the schedule after `after` on.
void Schedules::look_on(std::vector<NodeId> nodes, const std::string& after) {
  std::size_t left = kSchedulesInTurn;
  std::string last = after;
  for (; !nodes.empty(); nodes.pop_back(), last.clear()) {
    Node* node = hub_.registry().find(nodes.back());
    if (node == nullptr || node->link == nullptr) continue;
    for (auto at = all_.upper_bound(last); at != all_.end(); ++at) {
      if (left-- == 0) return hub_.next_turn([this, nodes, last] { look_on(nodes, last); });
      last = at->first;
      look_at(*node, last);
    }
  }
  is_walking_ = false;
  if (walk_again_) return fleet_changed();
  look_again();
}

void Schedules::look_again() {
  if (std::exchange(is_looking_, true)) return;
  hub_.after(kLookAgain, [this] {
    is_looking_ = false;
    fleet_changed();
  });
}

bool Schedules::recognise(Job& job) {
  const std::string id = schedule_of_request(job.request);
  if (id.empty()) return false;
  job.is_detached = true;
  const auto known = all_.find(id);
  job.command =
      known == all_.end() ? "(of a schedule that was removed)" : known->second.row.summary;
  if (known != all_.end()) job.spec_hash = to_hex(pki::sha256(as_bytes(known->second.row.spec)));
  return true;
}

// ---- the exchange with a node

void Schedules::take_states(const NodeId& node, const wire::Map& states) {
  for (const wire::Map& said : states) {
    auto state = read_schedule_state(said);
    const auto known = state ? all_.find(state->id) : all_.end();
    if (known == all_.end()) continue;
    NodeProgress& progress = known->second.nodes[node];
    progress.revision = state->revision;
    progress.cursor = state->cursor;
    progress.left = state->left;
    progress.told = std::move(state->told);
  }
}

std::optional<Schedules::Copy> Schedules::copy_for(const Schedule& schedule,
                                                   const NodeId& node) const {
  const auto known = schedule.nodes.find(node);
  const NodeProgress* progress = known == schedule.nodes.end() ? nullptr : &known->second;
  const bool is_current = progress != nullptr && progress->revision == schedule.row.revision;
  const WallTime now = wall_now();
  // A node catches up what it has missed since it first held the schedule. One that holds nothing
  // may have been told a moment too late (we were restarted), so what would still be on time
  // counts.
  const Node* there = hub_.registry().find(node);
  const WallTime enrolled = there == nullptr ? now : there->enrolled;
  const WallTime from =
      progress == nullptr ? std::max(enrolled, now - schedule::kOnTime) : progress->cursor;
  Copy copy{std::max(schedule.row.since, from), {}};
  if (!schedule.is_active()) return is_current ? std::nullopt : std::optional(std::move(copy));
  if (is_current && progress->left > kHalfUsed) return std::nullopt;
  copy.firings = schedule::missed(*schedule.rule, copy.after, now, schedule::kMaxCaughtUp);
  const auto next =
      schedule::upcoming(*schedule.rule, std::max(copy.after, now), schedule::kHeldFirings);
  copy.firings.insert(copy.firings.end(), next.begin(), next.end());
  if (is_current && copy.firings.size() <= progress->left) return std::nullopt;
  return copy;
}

wire::Map Schedules::message(const Schedule& schedule, const Copy& copy, const NodeId& node) const {
  const store::ScheduleRow& row = schedule.row;
  wire::Map firings = wire::Map::array();
  for (const WallTime nominal : copy.firings) {
    const std::string request = firing_request(row.id, nominal);
    const AttemptKey key{derive_job_id(row.owner, request, node), 1};
    firings.push_back(
        {{"nominal_ms", to_ms(nominal)},
         {"job", key.job.text},
         {"ticket", hub_.tickets().seal({key, row.owner, node, request, {}, nominal})}});
  }
  return {{"id", row.id},
          {"name", row.name},
          {"revision", row.revision},
          {"kind", row.kind},
          {"rule", row.rule},
          {"zone", row.zone},
          {"overlap", row.overlap},
          {"catch_up", row.catch_up},
          {"jitter_ms", row.jitter_ms},
          {"owner", row.owner_name},
          {"paused", !schedule.is_active()},
          {"after_ms", to_ms(copy.after)},
          {"firings", std::move(firings)},
          {"spec", wire::bin(row.spec)}};
}

void Schedules::dropped(const NodeId& node, const wire::Map& ids) {
  for (const wire::Map& id : ids) {
    const auto known = id.is_string() ? all_.find(id.get<std::string>()) : all_.end();
    if (known == all_.end() || !known->second.nodes.contains(node)) continue;
    NodeProgress& progress = known->second.nodes[node];
    progress.revision = 0;
    progress.left = 0;
    progress.told["waiting"] = 0U;
  }
}

void Schedules::reported(const NodeId& id, const wire::Map& args) {
  const wire::Map& states = wire::child_or_empty(args, "schedules");
  take_states(id, states);
  const Node* node = hub_.registry().find(id);
  if (node == nullptr || node->link == nullptr) return;
  for (const wire::Map& state : states) {
    const auto known = all_.find(wire::text_or(state, "id"));
    if (known != all_.end() && is_wanted(known->second, *node) && copy_for(known->second, id))
      touch(id, known->first);
  }
}

}  // namespace rexec::controller
