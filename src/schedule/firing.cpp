// See firing.hpp.
#include "src/schedule/firing.hpp"

#include <algorithm>
#include <array>

namespace rexec::schedule {
namespace {

constexpr std::array<std::string_view, 3> kNames{"none", "last", "all"};

// FNV-1a, then splitmix64's finisher, because FNV's low bits are poor. Fixed for ever: another
// function would move every firing within its jitter.
class Hash {
 public:
  void add(std::string_view text) {
    for (const char c : text) add_byte(static_cast<std::uint8_t>(c));
    add_byte(0);
  }
  void add(std::int64_t number) {
    for (int i = 0; i < 8; ++i) add_byte(static_cast<std::uint8_t>(number >> (8 * i)));
  }
  std::uint64_t result() const {
    std::uint64_t x = state_;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
  }

 private:
  void add_byte(std::uint8_t byte) { state_ = (state_ ^ byte) * 0x100000001b3u; }
  std::uint64_t state_ = 0xcbf29ce484222325u;
};

}  // namespace

std::string_view catch_up_name(CatchUp kind) { return kNames[static_cast<std::size_t>(kind)]; }

std::optional<CatchUp> catch_up(std::string_view name) {
  for (const CatchUp kind : {CatchUp::kNone, CatchUp::kLast, CatchUp::kAll})
    if (catch_up_name(kind) == name) return kind;
  return std::nullopt;
}

std::vector<WallTime> upcoming(const TimeRule& rule, WallTime after, std::size_t count) {
  std::vector<WallTime> out;
  while (out.size() < count) {
    const auto next = rule.next(after);
    if (!next) break;
    out.push_back(*next);
    after = *next;
  }
  return out;
}

std::vector<WallTime> missed(const TimeRule& rule, WallTime after, WallTime until,
                             std::size_t count) {
  std::vector<WallTime> out;
  // Growing windows that end at `until`: a long outage of a frequent schedule is not walked whole.
  for (Millis window = kOnTime; out.size() < count; window *= 2) {
    const bool is_whole = until - after <= window;
    out.clear();
    WallTime at = is_whole ? after : until - window;
    for (auto next = rule.next(at); next && *next <= until; next = rule.next(*next))
      out.push_back(*next);
    if (is_whole) break;
  }
  if (out.size() > count) out.erase(out.begin(), out.end() - static_cast<std::ptrdiff_t>(count));
  return out;
}

std::optional<Millis> shortest_gap(std::span<const WallTime> firings) {
  std::optional<Millis> least;
  for (std::size_t i = 1; i < firings.size(); ++i) {
    const Millis gap = firings[i] - firings[i - 1];
    least = std::min(least.value_or(gap), gap);
  }
  return least;
}

Millis jitter_of(std::string_view schedule, WallTime nominal, const NodeId& node, Millis most) {
  if (most <= Millis{0}) return Millis{0};
  Hash hash;
  hash.add(schedule);
  hash.add(nominal.time_since_epoch().count());
  hash.add(node.text);
  const auto choices = static_cast<std::uint64_t>(most.count()) + 1;
  return Millis{static_cast<std::int64_t>(hash.result() % choices)};
}

std::vector<Verdict> judge_due(std::span<const WallTime> due, Now now, CatchUp kind) {
  std::vector<Verdict> out(due.size(), kind == CatchUp::kAll ? Verdict::kLate : Verdict::kMissed);
  if (due.empty()) return out;
  const bool is_caught_up =
      kind != CatchUp::kNone && (due.size() > 1 || due.back() <= now.up_since);
  if (now.time - due.back() <= kOnTime && !is_caught_up)
    out.back() = Verdict::kOnTime;
  else if (kind != CatchUp::kNone)
    out.back() = Verdict::kLate;
  if (kind == CatchUp::kAll && out.size() > kMaxCaughtUp)
    std::fill(out.begin(), out.end() - kMaxCaughtUp, Verdict::kMissed);
  return out;
}

}  // namespace rexec::schedule
