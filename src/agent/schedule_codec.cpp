#include "src/agent/schedule_codec.hpp"

#include "src/base/cut_text.hpp"
#include "src/job/spec/spec.hpp"
#include "src/pki/ticket.hpp"

namespace rexec::agent {
namespace {

// The years 1970 to 9999.
constexpr std::uint64_t kLastMs = 253'402'300'799'000;

std::unexpected<Error> wrong(std::string_view field) {
  return fail(Code::kProtocol, "a schedule's field \"" + std::string(field) + "\" is not one");
}

std::int64_t to_ms(WallTime time) { return time.time_since_epoch().count(); }

Result<WallTime> get_time(const wire::Map& map, std::string_view key) {
  auto ms = wire::get_u64(map, key, kLastMs);
  if (!ms) return std::unexpected(ms.error());
  return WallTime{Millis{static_cast<std::int64_t>(*ms)}};
}

Result<HeldFiring> decode_firing(const wire::Map& map) {
  if (!map.is_object()) return wrong("firings");
  auto nominal = get_time(map, "nominal_ms");
  if (!nominal) return std::unexpected(nominal.error());
  HeldFiring firing{*nominal, {wire::text_or(map, "job")}, wire::text_or(map, "ticket")};
  if (!is_id(firing.job.text, 'j')) return wrong("job");
  if (firing.ticket.empty() || firing.ticket.size() > pki::kMaxTicket) return wrong("ticket");
  return firing;
}

wire::Map encode_firing(const HeldFiring& firing) {
  return {
      {"nominal_ms", to_ms(firing.nominal)}, {"job", firing.job.text}, {"ticket", firing.ticket}};
}

Result<void> decode_firings(const wire::Map& map, std::vector<HeldFiring>& into) {
  const wire::Map& list = wire::child_or_empty(map, "firings");
  if (list.size() > kMaxHeldFirings) return wrong("firings");
  for (const wire::Map& entry : list) {
    auto firing = decode_firing(entry);
    if (!firing) return std::unexpected(firing.error());
    if (!into.empty() && firing->nominal <= into.back().nominal) return wrong("firings");
    into.push_back(std::move(*firing));
  }
  return {};
}

}  // namespace

Result<ScheduleDefinition> decode_definition(const wire::Map& map) {
  ScheduleDefinition out;
  out.id = wire::text_or(map, "id");
  if (!is_id(out.id, 's')) return wrong("id");
  out.name = wire::text_or(map, "name");
  if (!check_name("a schedule's name", out.name)) return wrong("name");
  out.revision = wire::i64_or(map, "revision", 0);
  out.kind = cut_text(wire::text_or(map, "kind"), 16);
  out.rule = cut_text(wire::text_or(map, "rule"), schedule::kMaxCron);
  out.zone = cut_text(wire::text_or(map, "zone"), 64);
  const auto overlap = schedule::overlap(wire::text_or(map, "overlap"));
  if (!overlap) return wrong("overlap");
  out.overlap = *overlap;
  const auto catch_up = schedule::catch_up(wire::text_or(map, "catch_up"));
  if (!catch_up) return wrong("catch_up");
  out.catch_up = *catch_up;
  auto jitter = wire::get_u64(map, "jitter_ms", schedule::kMaxJitter.count());
  if (!jitter) return std::unexpected(jitter.error());
  out.jitter = Millis{static_cast<std::int64_t>(*jitter)};
  out.owner = wire::text_or(map, "owner");
  if (out.owner.size() > 256) return wrong("owner");
  out.is_paused = wire::bool_or(map, "paused", false);
  out.spec = wire::bin_or(map, "spec");
  if (out.spec.size() > kMaxHeldSpec) return wrong("spec");
  if (auto spec = job::decode_spec(as_bytes(out.spec)); !spec) return std::unexpected(spec.error());
  if (auto firings = decode_firings(map, out.firings); !firings)
    return std::unexpected(firings.error());
  return out;
}

wire::Map encode_definition(const ScheduleDefinition& definition) {
  wire::Map firings = wire::Map::array();
  for (const HeldFiring& firing : definition.firings) firings.push_back(encode_firing(firing));
  return {{"id", definition.id},
          {"name", definition.name},
          {"revision", definition.revision},
          {"kind", definition.kind},
          {"rule", definition.rule},
          {"zone", definition.zone},
          {"overlap", schedule::overlap_name(definition.overlap)},
          {"catch_up", schedule::catch_up_name(definition.catch_up)},
          {"jitter_ms", definition.jitter.count()},
          {"owner", definition.owner},
          {"paused", definition.is_paused},
          {"spec", wire::bin(definition.spec)},
          {"firings", std::move(firings)}};
}

WallTime cursor_in(const wire::Map& map) { return get_time(map, "after_ms").value_or(WallTime{}); }

Result<ScheduleProgress> decode_progress(const wire::Map& map) {
  ScheduleProgress out;
  auto cursor = get_time(map, "cursor_ms");
  if (!cursor) return std::unexpected(cursor.error());
  out.cursor = *cursor;
  out.fired = wire::u64_or(map, "fired", 0);
  out.skipped = wire::u64_or(map, "skipped", 0);
  out.failed = wire::u64_or(map, "failed", 0);
  out.last = get_time(map, "last_ms").value_or(WallTime{});
  out.last_job = wire::text_or(map, "last_job");
  out.error = wire::text_or(map, "error");
  for (const wire::Map& entry : wire::child_or_empty(map, "begun")) {
    auto firing = decode_firing(entry);
    if (!firing) return std::unexpected(firing.error());
    out.begun[firing->nominal] = {*firing, wire::bool_or(entry, "started", false)};
  }
  for (const wire::Map& entry : wire::child_or_empty(map, "waiting")) {
    auto firing = decode_firing(entry);
    if (!firing) return std::unexpected(firing.error());
    out.waiting[firing->nominal] = *firing;
  }
  return out;
}

wire::Map encode_progress(const ScheduleProgress& progress) {
  wire::Map begun = wire::Map::array();
  for (const auto& [nominal, one] : progress.begun) {
    begun.push_back(encode_firing(one.firing));
    begun.back()["started"] = one.is_started;
  }
  wire::Map waiting = wire::Map::array();
  for (const auto& [nominal, firing] : progress.waiting) waiting.push_back(encode_firing(firing));
  return {{"cursor_ms", to_ms(progress.cursor)},
          {"fired", progress.fired},
          {"skipped", progress.skipped},
          {"failed", progress.failed},
          {"last_ms", to_ms(progress.last)},
          {"last_job", progress.last_job},
          {"error", progress.error},
          {"begun", std::move(begun)},
          {"waiting", std::move(waiting)}};
}

}  // namespace rexec::agent
