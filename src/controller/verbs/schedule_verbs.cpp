#include "src/controller/verbs/schedule_verbs.hpp"

#include <unordered_map>

#include "src/base/cut_text.hpp"
#include "src/base/fail_point.hpp"
#include "src/base/text.hpp"
#include "src/controller/state/schedules.hpp"
#include "src/controller/verbs/paging.hpp"
#include "src/controller/verbs/submit.hpp"
#include "src/job/spec/spec.hpp"
#include "src/select/order.hpp"

namespace rexec::controller {
namespace {

constexpr std::uint64_t kMostShown = 1000;
constexpr std::size_t kMostUnheard = 10;
constexpr std::size_t kMostTarget = 8 << 10;           // it is listed with its schedule
constexpr std::int64_t kLastMs = 253'402'300'800'000;  // the year 10000

wire::Map next_of(const Schedule& schedule) {
  if (!schedule.rule || !schedule.is_active()) return nullptr;
  const auto next = schedule.rule->next(wall_now());
  return next ? wire::Map(to_iso8601(*next)) : wire::Map(nullptr);
}

// `next`: as next_of().
std::string state_of(Hub& hub, const Schedule& schedule, const wire::Map& next) {
  if (!schedule.error.empty() || !hub.schedules().has_owner(schedule)) return "broken";
  if (!schedule.is_active()) return "paused";
  if (!next.is_null()) return "active";
  return hub.schedules().is_decided(schedule, wall_now()) ? "done" : "pending";
}

wire::Map to_map(Hub& hub, const Schedule& schedule) {
  const store::ScheduleRow& row = schedule.row;
  const wire::Map next = next_of(schedule);
  wire::Map map{{"name", row.name},
                {"id", row.id},
                {"state", state_of(hub, schedule, next)},
                {"rule", row.kind + " " + row.rule},
                {"zone", row.zone},
                {"next", next},
                {"target", row.targets},
                {"overlap", row.overlap},
                {"catch_up", row.catch_up},
                {"jitter_ms", row.jitter_ms},
                {"owner", row.owner_name},
                {"created", to_iso8601(row.created)},
                {"command", row.summary}};
  if (!schedule.error.empty())
    map["error"] = schedule.error;
  else if (!hub.schedules().has_owner(schedule))
    map["error"] = "its owner was revoked";
  return map;
}

wire::Map node_map(const Schedule& schedule, const Node& node) {
  wire::Map map{{"node", node.name}, {"state", node.link != nullptr ? "online" : "offline"},
                {"fired", 0},        {"skipped", 0},
                {"failed", 0},       {"running", 0},
                {"waiting", 0},      {"held", 0},
                {"last", nullptr},   {"last_job", nullptr}};
  const auto known = schedule.nodes.find(node.id);
  if (known == schedule.nodes.end()) return map;
  const wire::Map& told = known->second.told;
  for (const char* key : {"fired", "skipped", "failed", "running", "waiting"})
    map[key] = wire::u64_or(told, key, 0);
  map["held"] = known->second.left;
  const std::int64_t last = wire::i64_or(told, "last_ms", 0);
  if (last > 0 && last < kLastMs) map["last"] = to_iso8601(WallTime{Millis{last}});
  if (const std::string job = wire::text_or(told, "last_job"); is_id(job, 'j'))
    map["last_job"] = job;
  if (const std::string why = wire::text_or(told, "error"); !why.empty())
    map["error"] = printable(why);
  return map;
}

// The first of them by name: a whole fleet may be away.
void add_unheard(wire::Map& map, std::vector<std::string> nodes) {
  if (nodes.size() > kMostUnheard) {
    map["unheard_more"] = nodes.size() - kMostUnheard;
    nodes.resize(kMostUnheard);
  }
  map["unheard"] = std::move(nodes);
}

Result<void> check_jitter(const schedule::TimeRule& rule, Millis jitter) {
  if (jitter < Millis{0} || jitter > schedule::kMaxJitter)
    return fail(Code::kUsage, "a jitter is at most " + format_duration(schedule::kMaxJitter));
  const auto gap =
      schedule::shortest_gap(schedule::upcoming(rule, wall_now(), schedule::kHeldFirings));
  if (!gap || jitter < *gap) return {};
  return fail(Code::kUsage,
              "the jitter, " + format_duration(jitter) + ", is not shorter than the time between " +
                  "two firings, " + format_duration(*gap),
              "a firing must not be delayed beyond the next one");
}

// Everything but owner and id.
Result<store::ScheduleRow> read_row(Hub& hub, const wire::Map& args) {
  store::ScheduleRow row;
  row.name = wire::text_or(args, "name");
  row.targets = wire::text_or(args, "targets");
  row.kind = wire::text_or(args, "kind");
  row.rule = wire::text_or(args, "rule");
  row.zone = wire::text_or(args, "zone", "UTC");
  row.overlap = wire::text_or(args, "overlap", "skip");
  row.catch_up = wire::text_or(args, "catch_up", "none");
  row.jitter_ms = wire::i64_or(args, "jitter_ms", 0);
  row.spec = wire::bin_or(args, "spec");
  row.created = row.since = wall_now();
  if (auto good = check_name("a schedule's name", row.name); !good)
    return std::unexpected(good.error());
  const auto kind = schedule::rule_kind(row.kind);
  if (!kind || !schedule::overlap(row.overlap) || !schedule::catch_up(row.catch_up))
    return fail(Code::kUsage, "a schedule needs a kind, an overlap and a catch-up that there are");
  auto rule =
      schedule::TimeRule::make({*kind, row.rule, row.zone, row.created}, hub.schedules().zones());
  if (!rule) return std::unexpected(rule.error());
  if (!rule->next(row.created))
    return fail(Code::kUsage, "\"" + printable(row.rule) + "\" in " + row.zone + " is in the past",
                "it is " + rule->shown(row.created) + " there now");
  if (auto good = check_jitter(*rule, Millis{row.jitter_ms}); !good)
    return std::unexpected(good.error());
  if (row.targets.size() > kMostTarget)
    return fail(Code::kLimit, "the target is longer than 8 KiB", "name a label: label=value");
  auto nodes = hub.registry().select(row.targets);
  if (!nodes) return std::unexpected(nodes.error());
  if (row.spec.size() > kMaxScheduleSpec)
    return fail(Code::kLimit,
                "the command, its environment and script are " + std::to_string(row.spec.size()) +
                    " bytes, a schedule may have 128 KiB",
                "put the script on the nodes with rexec run -i, and schedule its path");
  auto spec = job::decode_spec(as_bytes(row.spec));
  if (!spec) return std::unexpected(spec.error());
  if (spec->forward_stdin || spec->tty)
    return fail(Code::kUsage, "a scheduled command has no terminal and an empty stdin");
  row.summary = summary_of(*spec);
  return row;
}

void add(Hub& hub, const Caller& caller, const wire::Map& args, const Answer& respond) {
  auto row = read_row(hub, args);
  if (!row) return respond(std::unexpected(row.error()));
  // Until its own are held: others may be on their way to the disk beside it.
  auto one = hub.budget().take(caller.user, Resource::kSchedules, 1);
  if (!one) return respond(std::unexpected(one.error()));
  auto bytes = hub.budget().take(caller.user, Resource::kScheduleSpecs, row->spec.size());
  if (!bytes) return respond(std::unexpected(bytes.error()));
  const auto shares = std::make_shared<std::pair<Share, Share>>(std::move(*one), std::move(*bytes));
  row->id = random_id('s');
  row->owner = caller.user;
  row->owner_name = caller.name;
  hub.post(
      [row = *row, who = caller.actor](store::Database& db) {
        store::insert_schedule(db, row);
        store::append_audit(db, wall_now(),
                            {who, "schedule.add", "schedule/" + row.id,
                             row.name + " " + row.kind + " " + printable(row.rule) + " on " +
                                 printable(cut_text(row.targets, 200)) + ": " + row.summary});
      },
      [&hub, caller, row = *row, respond, shares](const Result<void>& saved) {
        *shares = {};
        if (!saved) return respond(std::unexpected(saved.error()));
        fail_point(FailPoint::kControllerScheduleCommitted);
        hub.schedules().put(row);
        auto made = hub.schedules().find(caller.user.text, row.id);
        if (!made) return respond(std::unexpected(made.error()));
        respond(to_map(hub, **made));
      });
}

void ls(Hub& hub, const Caller& caller, const wire::Map& args, const Answer& respond) {
  respond(page_behind(
              after_of(args), hub.schedules().visible_to(caller.user.text), std::less<>(),
              [](const Schedule* one) -> const std::string& { return one->row.name; },
              [&hub](const Schedule* one) { return to_map(hub, *one); })
              .answer("schedules"));
}

void show(Hub& hub, const Caller& caller, const wire::Map& args, const Answer& respond) {
  auto found = hub.schedules().find(caller.user.text, wire::text_or(args, "name"));
  if (!found) return respond(std::unexpected(found.error()));
  wire::Map map = to_map(hub, **found);
  page_behind(
      after_of(args), hub.schedules().nodes_of(**found), select::natural_less,
      [](const Node* node) -> const std::string& { return node->name; },
      [&](const Node* node) { return node_map(**found, *node); })
      .add_to(map, "nodes");
  respond(map);
}

void next(Hub& hub, const Caller& caller, const wire::Map& args, const Answer& respond) {
  auto found = hub.schedules().find(caller.user.text, wire::text_or(args, "name"));
  if (!found) return respond(std::unexpected(found.error()));
  const Schedule& schedule = **found;
  if (!schedule.rule) return respond(fail(Code::kConfig, schedule.error));
  const std::uint64_t count = std::min(wire::u64_or(args, "count", 10), kMostShown);
  wire::Map list = wire::Map::array();
  if (schedule.is_active())
    for (const WallTime at : schedule::upcoming(*schedule.rule, wall_now(), count))
      list.push_back({{"utc", to_iso8601(at)}, {"local", schedule.rule->shown(at)}});
  respond(wire::Map{{"firings", std::move(list)}});
}

// The answer to a change: the schedule, and which nodes do not know of the change yet.
wire::Map changed_map(Hub& hub, const Schedule& schedule) {
  wire::Map map = to_map(hub, schedule);
  add_unheard(map, hub.schedules().unheard_by(schedule, schedule.row.revision));
  return map;
}

// A schedule that fires no more is neither paused nor resumed: who was told so would wait for it.
Result<void> check_may_set(Hub& hub, const Schedule& schedule, store::ScheduleState state) {
  const std::string name = "schedule \"" + schedule.row.name + "\"";
  const std::string shown = state_of(hub, schedule, next_of(schedule));
  if (state == store::ScheduleState::kPaused && shown == "done")
    return fail(Code::kConflict, name + " has fired for the last time, there is nothing to pause",
                "drop it: rexec schedule rm " + schedule.row.name);
  if (state == store::ScheduleState::kPaused) return {};
  if (shown == "broken")
    return fail(Code::kConflict,
                name + " cannot fire: " +
                    (schedule.error.empty() ? "its owner was revoked" : schedule.error),
                "drop it: rexec schedule rm " + schedule.row.name);
  if (schedule.rule->next(wall_now())) return {};
  return fail(
      Code::kConflict,
      name + (schedule.is_active() ? " has fired for the last time, it cannot be resumed"
                                   : " was paused when its last time came, it fires no more"),
      "make another: rexec schedule add\nrun its command now: rexec submit");
}

void set(Hub& hub, const Caller& caller, const wire::Map& args, store::ScheduleState state,
         const Answer& respond) {
  auto found = hub.schedules().find(caller.user.text, wire::text_or(args, "name"));
  if (!found) return respond(std::unexpected(found.error()));
  if (auto may = check_may_set(hub, **found, state); !may)
    return respond(std::unexpected(may.error()));
  if ((*found)->row.state == state) return respond(changed_map(hub, **found));
  store::ScheduleRow row = (*found)->row;
  const bool is_paused = state == store::ScheduleState::kPaused;
  row.state = state;
  ++row.revision;
  if (!is_paused) row.since = wall_now();  // what the pause has left out stays left out
  hub.post(
      [row, is_paused, who = caller.actor](store::Database& db) {
        store::update_schedule(db, row);
        store::append_audit(db, wall_now(),
                            {who, is_paused ? "schedule.pause" : "schedule.resume",
                             "schedule/" + row.id, row.name});
      },
      [&hub, caller, row, respond](const Result<void>& saved) {
        if (!saved) return respond(std::unexpected(saved.error()));
        hub.schedules().put(row);
        auto changed = hub.schedules().find(caller.user.text, row.id);
        if (!changed) return respond(std::unexpected(changed.error()));
        respond(changed_map(hub, **changed));
      });
}

void pause(Hub& hub, const Caller& caller, const wire::Map& args, const Answer& respond) {
  set(hub, caller, args, store::ScheduleState::kPaused, respond);
}

void resume(Hub& hub, const Caller& caller, const wire::Map& args, const Answer& respond) {
  set(hub, caller, args, store::ScheduleState::kActive, respond);
}

void rm(Hub& hub, const Caller& caller, const wire::Map& args, const Answer& respond) {
  auto found = hub.schedules().find(caller.user.text, wire::text_or(args, "name"));
  if (!found) return respond(std::unexpected(found.error()));
  hub.post(
      [id = (*found)->row.id, name = (*found)->row.name, who = caller.actor](store::Database& db) {
        store::remove_schedule(db, id);
        store::append_audit(db, wall_now(), {who, "schedule.rm", "schedule/" + id, name});
      },
      [&hub, caller, id = (*found)->row.id, name = (*found)->row.name,
       respond](const Result<void>& saved) {
        if (!saved) return respond(std::unexpected(saved.error()));
        wire::Map answer{{"removed", name}};
        if (auto gone = hub.schedules().find(caller.user.text, id))
          add_unheard(answer, hub.schedules().unheard_by(**gone, (*gone)->row.revision + 1));
        hub.schedules().remove(id);
        respond(answer);
      });
}

}  // namespace

ScheduleVerb find_schedule_verb(const std::string& name) {
  static const std::unordered_map<std::string_view, ScheduleVerb> verbs{
      {"schedule.add", add},   {"schedule.ls", ls},       {"schedule.show", show},
      {"schedule.next", next}, {"schedule.pause", pause}, {"schedule.resume", resume},
      {"schedule.rm", rm}};
  const auto at = verbs.find(name);
  return at == verbs.end() ? nullptr : at->second;
}

}  // namespace rexec::controller
