#include "src/controller/core/node_words.hpp"

#include <algorithm>

#include "src/base/cut_text.hpp"
#include "src/base/text.hpp"
#include "src/job/spec/record.hpp"
#include "src/pki/ticket.hpp"

namespace rexec::controller {
namespace {

constexpr std::size_t kMostInstance = 128;
constexpr std::size_t kMostSoftware = 64;
constexpr std::size_t kMostHeld = 200;
constexpr std::size_t kMostScheduleText = 500;
constexpr std::size_t kMostMessage = 2 << 10;
constexpr std::uint64_t kMostAttempt = 1'000'000;
constexpr std::uint64_t kMostCount = (1ULL << 53) - 1;
constexpr std::uint64_t kLastMs = 253'402'300'799'000;  // of the year 9999
// The longest pause before an attempt, 5 minutes, and the tenth that it may be longer.
constexpr Millis kMostPause{330'000};

// Printable text of at most so many bytes.
std::string short_text(const wire::Map& map, std::string_view key, std::size_t most) {
  const std::string shown = printable(cut_text(wire::text_or(map, key), most));
  return std::string(cut_text(shown, most));
}

// The default where there is none, or none that is a time.
WallTime time_in(const wire::Map& map, std::string_view key) {
  const std::uint64_t ms = wire::u64_or(map, key, 0);
  return WallTime{Millis{ms <= kLastMs ? static_cast<std::int64_t>(ms) : 0}};
}

std::uint64_t count_in(const wire::Map& map, std::string_view key) {
  return std::min(wire::u64_or(map, key, 0), kMostCount);
}

// When an attempt begins: no pause is longer than the longest, whatever the node's clock says.
WallTime start_in(const wire::Map& map, std::string_view key, WallTime now) {
  return std::min(time_in(map, key), now + kMostPause);
}

std::uint64_t attempt_in(const wire::Map& map, std::uint64_t otherwise) {
  const std::uint64_t attempt = wire::u64_or(map, "attempt", otherwise);
  return attempt >= 1 && attempt <= kMostAttempt ? attempt : otherwise;
}

std::optional<JobReport::State> state_named(std::string_view name) {
  if (name == "running") return JobReport::State::kRunning;
  if (name == "restarting") return JobReport::State::kRestarting;
  if (name == "final") return JobReport::State::kFinal;
  return std::nullopt;
}

// Offsets and times of an event. False: it is of a stream that there is not.
bool bound_numbers(wire::Map& map, const std::string& type) {
  const auto bound = [&map](std::initializer_list<std::string_view> keys) {
    for (const std::string_view key : keys)
      if (map.contains(key)) map[key] = count_in(map, key);
  };
  if (type == "attached") bound({"out", "err", "in"});
  if (type == "started") bound({"pid", "wall_ms"});
  if (type != "gap") return true;
  bound({"from", "to"});
  const std::uint64_t channel = wire::u64_or(map, "channel", 0);
  return channel == 1 || channel == 2;
}

std::unexpected<Error> wrong(std::string_view field) {
  return fail(Code::kProtocol, "a report's field \"" + std::string(field) + "\" is not one");
}

}  // namespace

NodeHello read_hello(const wire::Map& map) {
  return {std::string(cut_text(wire::text_or(map, "instance"), kMostInstance)),
          short_text(map, "software", kMostSoftware)};
}

Result<JobReport> read_report(const wire::Map& entry) {
  JobReport out;
  out.key.job.text = wire::text_or(entry, "job");
  if (!is_id(out.key.job.text, 'j')) return wrong("job");
  const std::uint64_t attempt = wire::u64_or(entry, "attempt", 1);
  if (attempt == 0 || attempt > kMostAttempt) return wrong("attempt");
  out.key.attempt = static_cast<std::uint32_t>(attempt);
  const auto state = state_named(wire::text_or(entry, "state"));
  if (!state) return wrong("state");
  out.state = *state;
  out.ticket = wire::text_or(entry, "ticket");
  if (out.ticket.size() > pki::kMaxTicket) return wrong("ticket");
  out.started = time_in(entry, "started_ms");
  out.next = time_in(entry, "next_attempt_ms");
  out.held = short_text(entry, "held", kMostHeld);
  if (out.state != JobReport::State::kRunning) out.record = wire::child_or_empty(entry, "record");
  return out;
}

std::string held_words(const std::string& why, const JobId& job) {
  if (why.empty()) return {};
  if (why == "unread")
    return "its quota is full and nobody reads its output; go on: rexec attach " + job.text;
  return "its output cannot be kept on the node: " + why;
}

wire::Map record_of(const JobReport& report, const std::string& node_name) {
  wire::Map record = job::bounded_record(report.record, {node_name, report.key});
  if (!record.contains("xxh128")) record["xxh128"] = {{"out", ""}, {"err", ""}};
  return record;
}

std::optional<ScheduleState> read_schedule_state(const wire::Map& map) {
  ScheduleState out;
  out.id = wire::text_or(map, "id");
  if (!is_id(out.id, 's')) return std::nullopt;
  out.revision = wire::i64_or(map, "revision", 0);
  out.cursor = time_in(map, "cursor_ms");
  out.left = count_in(map, "left");
  out.told = wire::Map::object();
  for (const char* key : {"fired", "skipped", "failed", "running", "waiting"})
    out.told[key] = count_in(map, key);
  out.told["last_ms"] = time_in(map, "last_ms").time_since_epoch().count();
  const std::string job = wire::text_or(map, "last_job");
  out.told["last_job"] = is_id(job, 'j') ? job : std::string();
  out.told["error"] = short_text(map, "error", kMostScheduleText);
  return out;
}

wire::Map read_lost_output(const wire::Map& said) {
  wire::Map given_up = job::bounded_given_up(wire::child_or_empty(said, "given_up"));
  if (given_up.is_null()) return wire::Map::object();
  return {{"unreachable", "given_up"}, {"given_up", std::move(given_up)}};
}

Error error_of_node(Error error) {
  switch (error.code) {
    case Code::kControllerDown:
    case Code::kNotSignedIn:
    case Code::kRevoked:
    case Code::kExpired:
    case Code::kTokenBad:
    case Code::kTokenSpent:
    case Code::kPinMismatch:
    case Code::kKeyExposed:
      error.code = Code::kRefusedByNode;
      break;
    default:
      break;
  }
  error.message = std::string(cut_text(error.message, kMostMessage));
  error.hint.clear();
  return error;
}

Result<std::optional<wire::Map>> read_node_event(ByteSpan payload, const job::KnownAttempt& known,
                                                 WallTime now) {
  auto map = wire::parse_map(payload);
  if (!map) return std::unexpected(map.error());
  const std::string type = wire::text_or(*map, "t");
  // These are the controller's words.
  if (type == "accepted" || type == "waiting" || type == "away") return std::nullopt;
  map->erase("unreachable");
  if (!bound_numbers(*map, type)) return std::nullopt;
  if (type == "held") (*map)["why"] = short_text(*map, "why", kMostHeld);
  if (type == "attempt") (*map)["attempt"] = attempt_in(*map, known.key.attempt);
  if (type != "end" && type != "restarting") return std::move(*map);
  const wire::Map& said = wire::child_or_empty(*map, "record");
  job::KnownAttempt of = known;
  of.key.attempt = static_cast<std::uint32_t>(attempt_in(said, known.key.attempt));
  (*map)["record"] = record_of({.key = of.key, .record = said}, of.node);
  if (type == "end" && map->contains("attempt")) (*map)["attempt"] = attempt_in(*map, 1);
  if (type == "restarting") {
    (*map)["attempt"] = attempt_in(*map, of.key.attempt + 1ULL);
    (*map)["at_ms"] = start_in(*map, "at_ms", now).time_since_epoch().count();
  }
  if (type != "end") return std::move(*map);
  const wire::Map lost = read_lost_output(*map);
  map->erase("given_up");
  map->update(lost);
  return std::move(*map);
}

}  // namespace rexec::controller
