// See time_rule.hpp. first_shown() is monotone in its local time, so the next firing is that of the
// first matching local time whose instant is late enough.
#include "src/schedule/time_rule.hpp"

#include <array>
#include <cstdio>

#include "src/base/text.hpp"

namespace rexec::schedule {
namespace {

using namespace std::chrono;

constexpr std::array<std::string_view, 3> kKinds{"cron", "every", "at"};
constexpr Millis kShortestPeriod = seconds{1};
// Instants may come from a peer: beyond these the calendar would wrap. No firing lies beyond it.
constexpr WallTime kEndOfTime = sys_days(year{9999} / January / 1);
// No zone is further from UTC (zone.cpp refuses it).
constexpr seconds kFurthest = hours{26};

LocalTime local_of(const Piece& piece, sys_seconds time) {
  return LocalTime{time.time_since_epoch() + piece.offset};
}

struct LocalText {
  LocalTime time;
  bool is_utc = false;
};

std::optional<LocalText> parse_local(std::string_view text) {
  const bool is_utc = text.ends_with('Z');
  if (is_utc) text.remove_suffix(1);
  constexpr std::string_view kForm = "dddd-dd-ddTdd:dd:dd";
  if (text.size() != kForm.size() && text.size() != kForm.size() - 3) return std::nullopt;
  std::array<int, 6> numbers{};
  std::size_t which = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (kForm[i] == 'd') {
      if (c < '0' || c > '9') return std::nullopt;
      numbers[which] = numbers[which] * 10 + (c - '0');
    } else {
      if (c != kForm[i] && !(kForm[i] == 'T' && c == ' ')) return std::nullopt;
      ++which;
    }
  }
  const auto [y, mo, d, h, mi, s] = numbers;
  const year_month_day date(year{y}, month{static_cast<unsigned>(mo)},
                            day{static_cast<unsigned>(d)});
  if (!date.ok() || y < 1970 || h > 23 || mi > 59 || s > 59) return std::nullopt;
  return LocalText{local_days(date) + hours{h} + minutes{mi} + seconds{s}, is_utc};
}

}  // namespace

std::string_view rule_kind_name(RuleKind kind) { return kKinds[static_cast<std::size_t>(kind)]; }

std::optional<RuleKind> rule_kind(std::string_view name) {
  for (const RuleKind kind : {RuleKind::kCron, RuleKind::kEvery, RuleKind::kAt})
    if (rule_kind_name(kind) == name) return kind;
  return std::nullopt;
}

sys_seconds first_shown(const Zone& zone, LocalTime local) {
  const sys_seconds as_utc{local.time_since_epoch()};
  Piece piece = zone.at(as_utc - kFurthest);
  while (as_utc - piece.offset >= piece.end) piece = zone.at(piece.end);
  return std::max(piece.begin, as_utc - piece.offset);  // the begin: a gap jumps over `local`
}

Result<TimeRule::Every> TimeRule::parse_every(const std::string& text) {
  auto period = parse_duration("every", text);
  if (!period) return std::unexpected(period.error());
  if (*period >= kShortestPeriod && *period % kShortestPeriod == Millis{0}) return Every{*period};
  return fail(Code::kUsage, "every " + printable(text) + ": at least 1s, in whole seconds",
              "such as 10m");
}

Result<TimeRule> TimeRule::make(RuleText text, ZoneFiles& zones) {
  auto zone = zones.find(text.zone);
  if (!zone) return std::unexpected(zone.error());
  text.anchor = floor<seconds>(text.anchor);
  if (text.kind == RuleKind::kCron) {
    auto cron = parse_cron(text.text);
    if (!cron) return std::unexpected(cron.error());
    return TimeRule(std::move(text), *zone, *cron);
  }
  if (text.kind == RuleKind::kEvery) {
    auto every = parse_every(text.text);
    if (!every) return std::unexpected(every.error());
    return TimeRule(std::move(text), *zone, *every);
  }
  const auto local = parse_local(text.text);
  if (!local)
    return fail(Code::kUsage,
                "at " + printable(text.text.substr(0, 64)) + ": expected a date and a time",
                "such as 2027-01-01T03:00, or 2027-01-01T03:00:30Z for UTC");
  static const Zone kUtc;
  const At at{first_shown(local->is_utc ? kUtc : **zone, local->time)};
  if (at.time > kEndOfTime)
    return fail(Code::kUsage, "at " + text.text + ": the calendar of schedules ends with 9998");
  return TimeRule(std::move(text), *zone, at);
}

std::optional<WallTime> TimeRule::next_of(const Cron& cron, WallTime after) const {
  const sys_seconds now = floor<seconds>(after);
  const Piece piece = zone_->at(now);
  LocalTime from = local_of(piece, now) + seconds{1};
  // After a change back the clocks show again what has been: go on where they had come to.
  if (piece.before > piece.offset)
    from = std::max(from, LocalTime{piece.begin.time_since_epoch() + piece.before});
  while (const auto local = next_local(cron, from)) {
    const sys_seconds at = first_shown(*zone_, *local);
    if (at > now) return at;
    from = *local + minutes{1};
  }
  return std::nullopt;
}

// Goes from one offset of the zone to the next, so that an hour which comes twice is walked twice.
std::optional<WallTime> TimeRule::next_of_interval(const Cron& cron, WallTime after) const {
  const sys_seconds now = floor<seconds>(after);
  Piece piece = zone_->at(now);
  LocalTime from = local_of(piece, now) + seconds{1};
  while (const auto local = next_local(cron, from)) {
    const sys_seconds at{local->time_since_epoch() - piece.offset};
    if (at < piece.end) return std::max(at, piece.begin);  // the begin: a gap jumps over `local`
    piece = zone_->at(piece.end);
    from = LocalTime{piece.begin.time_since_epoch() + std::min(piece.before, piece.offset)};
  }
  return std::nullopt;
}

std::optional<WallTime> TimeRule::next(WallTime after) const {
  if (after >= kEndOfTime) return std::nullopt;
  const auto found = next_in_calendar(std::max(after, WallTime{}));
  return found && *found <= kEndOfTime ? found : std::nullopt;
}

std::optional<WallTime> TimeRule::next_in_calendar(WallTime after) const {
  if (const auto* cron = std::get_if<Cron>(&rule_))
    return cron->any_hour ? next_of_interval(*cron, after) : next_of(*cron, after);
  if (const auto* at = std::get_if<At>(&rule_))
    return at->time > after ? std::optional(at->time) : std::nullopt;
  const Millis period = std::get<Every>(rule_).period;
  if (after < text_.anchor) return text_.anchor + period;
  return text_.anchor + ((after - text_.anchor) / period + 1) * period;
}

std::string TimeRule::shown(WallTime time) const {
  const sys_seconds whole = floor<seconds>(time);
  const Piece piece = zone_->at(whole);
  const LocalTime local = local_of(piece, whole);
  const auto day = floor<days>(local);
  const year_month_day date(day);
  const auto clock = (local - day).count();
  const auto offset = duration_cast<minutes>(abs(piece.offset)).count();
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02u-%02u %02d:%02d:%02d %c%02d%02d",
                static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(clock / 3600),
                static_cast<int>(clock / 60 % 60), static_cast<int>(clock % 60),
                piece.offset < seconds{0} ? '-' : '+', static_cast<int>(offset / 60),
                static_cast<int>(offset % 60));
  return text;
}

}  // namespace rexec::schedule
