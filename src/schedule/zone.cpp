// See zone.hpp. The file is a header and block of 32-bit times for old readers, which is skipped,
// then the same with 64-bit times, then "\n<rule>\n".
#include "src/schedule/zone.hpp"

#include <algorithm>

namespace rexec::schedule {
namespace {

using namespace std::chrono;

constexpr std::size_t kHeader = 44;
constexpr std::uint32_t kMaxChanges = 10'000;
constexpr seconds kMostOffset = hours{26};  // RFC 9636: -89999 to 93599

struct Counts {
  std::uint32_t isut, isstd, leap, time, type, chars;
  std::size_t size(std::size_t time_size) const {
    return time * (time_size + 1) + type * std::size_t{6} + chars + leap * (time_size + 4) + isstd +
           isut;
  }
};

std::optional<Counts> read_header(ByteSpan bytes) {
  if (bytes.size() < kHeader || as_text(bytes.first(4)) != "TZif" || bytes[4] < '2')
    return std::nullopt;
  std::uint32_t n[6];
  for (std::size_t i = 0; i < 6; ++i) {
    n[i] = load_be<std::uint32_t>(bytes.data() + 20 + 4 * i);
    if (n[i] > kMaxChanges) return std::nullopt;
  }
  return Counts{n[0], n[1], n[2], n[3], n[4], n[5]};
}

// Changes that change nothing (only the name, or that nothing lies between) say nothing about the
// clock; without them every piece has its length and differs from its neighbours.
std::vector<OffsetChange> normal(seconds first, const std::vector<OffsetChange>& changes) {
  std::vector<OffsetChange> out;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    if (i + 1 < changes.size() && changes[i + 1].at <= changes[i].at) continue;
    if ((out.empty() ? first : out.back().offset) != changes[i].offset) out.push_back(changes[i]);
  }
  return out;
}

std::unexpected<Error> not_tzif() {
  return fail(Code::kUsage, "is not a compiled tz database file (TZif version 2)");
}

}  // namespace

Result<Zone> Zone::parse(ByteSpan bytes) {
  const auto old_block = read_header(bytes);
  if (!old_block || bytes.size() - kHeader < old_block->size(4)) return not_tzif();
  bytes = bytes.subspan(kHeader + old_block->size(4));
  const auto counts = read_header(bytes);
  if (!counts || bytes.size() - kHeader < counts->size(8) || counts->type == 0) return not_tzif();
  const std::uint8_t* times = bytes.data() + kHeader;
  const std::uint8_t* indices = times + counts->time * std::size_t{8};
  const std::uint8_t* types = indices + counts->time;
  const auto offset_of = [&](std::size_t type) {
    return seconds{static_cast<std::int32_t>(load_be<std::uint32_t>(types + 6 * type))};
  };
  for (std::size_t i = 0; i < counts->type; ++i)
    if (abs(offset_of(i)) > kMostOffset) return not_tzif();
  Zone zone;
  zone.first_ = offset_of(0);
  std::vector<OffsetChange> changes;
  for (std::size_t i = 0; i < counts->time; ++i) {
    const sys_seconds at{seconds{static_cast<std::int64_t>(load_be<std::uint64_t>(times + 8 * i))}};
    const bool is_in_order = changes.empty() || changes.back().at < at;
    if (indices[i] >= counts->type || !is_in_order) return not_tzif();
    changes.push_back({at, offset_of(indices[i])});
  }
  zone.table_ = normal(zone.first_, changes);
  std::string_view footer = as_text(bytes.subspan(kHeader + counts->size(8)));
  if (footer.size() < 2 || footer.front() != '\n' || footer.back() != '\n') return not_tzif();
  footer = footer.substr(1, footer.size() - 2);
  if (footer.empty()) return zone;
  auto rule = parse_zone_rule(footer);
  if (!rule) return std::unexpected(rule.error());
  zone.rule_ = *rule;
  return zone;
}

Piece Zone::in_table(std::size_t index) const {
  Piece piece;
  const seconds before = index < 2 ? first_ : table_[index - 2].offset;
  piece.offset = index == 0 ? first_ : table_[index - 1].offset;
  piece.before = index == 0 ? first_ : before;
  if (index > 0) piece.begin = table_[index - 1].at;
  if (index < table_.size()) piece.end = table_[index].at;
  return piece;
}

Piece Zone::at(sys_seconds time) const {
  const auto next = std::ranges::upper_bound(table_, time, {}, &OffsetChange::at);
  const Piece last = in_table(static_cast<std::size_t>(next - table_.begin()));
  if (next != table_.end() || !rule_) return last;
  // The changes around the instant by the rule, but only those after the table's last.
  const year middle = year_month_day(floor<days>(time)).year();
  std::vector<OffsetChange> changes;
  for (year y = middle - years{2}; y <= middle + years{2}; ++y)
    for (const auto& change : changes_of_year(*rule_, y))
      if (change.at > last.begin)
        changes.insert(std::ranges::upper_bound(changes, change.at, {}, &OffsetChange::at), change);
  // Where the rule begins within the window, what came before is the table's; further on, the
  // rule's.
  const bool meets_table =
      year_month_day(floor<days>(std::max(last.begin, sys_seconds(sys_days(year{1} / 1 / 1)))))
          .year() >= middle - years{2};
  const seconds first = meets_table || changes.empty() ? last.offset : rule_->standard;
  changes = normal(first, changes);
  const auto after = std::ranges::upper_bound(changes, time, {}, &OffsetChange::at);
  Piece piece = last;
  if (after != changes.begin()) {
    const auto current = after - 1;
    piece.begin = current->at;
    piece.offset = current->offset;
    piece.before = current == changes.begin() ? first : (current - 1)->offset;
  }
  if (after != changes.end()) piece.end = after->at;
  return piece;
}

}  // namespace rexec::schedule
