// One class walks the text with the column in hand; the search below goes field by field from the
// largest, so that a yearly expression costs a dozen steps and not half a million minutes.
#include "src/schedule/cron.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <string>

#include "src/base/text.hpp"

namespace rexec::schedule {
namespace {

using namespace std::chrono;

struct Field {
  const char* name;
  unsigned low;
  unsigned high;
  std::string_view names;  // three letters each, from `low` on
};
constexpr std::array<Field, 5> kFields{{
    {"minute", 0, 59, {}},
    {"hour", 0, 23, {}},
    {"day of month", 1, 31, {}},
    {"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
    {"day of week", 0, 7, "sunmontuewedthufrisat"},
}};
struct Shorthand {
  std::string_view name;
  std::string_view fields;
};
constexpr std::array<Shorthand, 7> kShorthands{{{"@hourly", "0 * * * *"},
                                                {"@daily", "0 0 * * *"},
                                                {"@midnight", "0 0 * * *"},
                                                {"@weekly", "0 0 * * 0"},
                                                {"@monthly", "0 0 1 * *"},
                                                {"@yearly", "0 0 1 1 *"},
                                                {"@annually", "0 0 1 1 *"}}};
// February has its 29th in some year.
constexpr std::array<unsigned, 12> kLongestMonth{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
constexpr year kLastYear{9999};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_blank(char c) { return c == ' ' || c == '\t'; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Cron> whole() {
    std::array<std::uint64_t, 5> sets{};
    std::array<bool, 5> stars{};
    bool any_hour = false;
    for (std::size_t i = 0; i < kFields.size(); ++i) {
      skip_blanks();
      if (at_ == text_.size())
        return wrong(at_, std::string("expected a ") + kFields[i].name +
                              ": five fields are minute, hour, day of month, month, day of week");
      stars[i] = text_[at_] == '*';
      const std::size_t start = at_;
      auto set = list(kFields[i]);
      if (!set) return std::unexpected(set.error());
      sets[i] = *set;
      if (i == 1) any_hour = text_.substr(start, at_ - start).contains('*');
    }
    skip_blanks();
    if (at_ != text_.size()) return wrong(at_, "expected the end after five fields" + found(at_));
    const auto narrow = [&](std::size_t i) { return static_cast<std::uint32_t>(sets[i]); };
    const std::uint32_t weekdays = (narrow(4) | narrow(4) >> 7) & 0x7f;  // 7 is Sunday as 0 is
    return Cron{sets[0], narrow(1), narrow(2), narrow(3), weekdays, stars[2], stars[4], any_hour};
  }

 private:
  void skip_blanks() {
    while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
  }
  bool take(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::unexpected<Error> wrong(std::size_t column, const std::string& what) const {
    return fail(
        Code::kUsage,
        "cron \"" + printable(text_) + "\", column " + std::to_string(column + 1) + ": " + what,
        "such as \"30 2 * * *\" (daily at 2:30) or \"*/10 9-17 * * mon-fri\"; try it: "
        "rexec schedule next --cron '30 2 * * *'");
  }
  // ", found \"x\"": the rest of the word at the column.
  std::string found(std::size_t column) const {
    const std::size_t end = std::min(text_.find_first_of(" \t,", column), text_.size());
    if (end == column) return column == text_.size() ? ", found the end" : ", found nothing";
    return ", found \"" + printable(text_.substr(column, end - column)) + "\"";
  }
  static std::string range_of(const Field& field) {
    return std::string("a ") + field.name + " " + std::to_string(field.low) + "-" +
           std::to_string(field.high) + (field.names.empty() ? "" : " or its name");
  }

  Result<std::uint64_t> list(const Field& field) {
    std::uint64_t set = 0;
    do {
      auto part = item(field);
      if (!part) return part;
      set |= *part;
    } while (take(','));
    if (at_ < text_.size() && !is_blank(text_[at_]))
      return wrong(at_, "expected \",\" or a blank" + found(at_));
    return set;
  }

  Result<std::uint64_t> item(const Field& field) {
    unsigned from = field.low;
    // "*" of the weekdays is 0-6: 7 is another name, not another day.
    unsigned to = field.high == 7 ? 6 : field.high;
    bool is_range = true;
    const std::size_t start = at_;
    if (!take('*')) {
      auto low = value(field);
      if (!low) return std::unexpected(low.error());
      from = to = *low;
      is_range = take('-');
      if (is_range) {
        auto high = value(field);
        if (!high) return std::unexpected(high.error());
        to = *high == 0 && field.high == 7 && from > 0 ? 7 : *high;  // fri-sun
      }
    }
    if (from > to)
      return wrong(start, "a range goes from low to high" + found(start) + "; write " +
                              std::to_string(from) + "-" + std::to_string(field.high) + "," +
                              std::to_string(field.low) + "-" + std::to_string(to));
    auto step = step_of(field, is_range);
    if (!step) return std::unexpected(step.error());
    std::uint64_t set = 0;
    for (unsigned n = from; n <= to; n += *step) set |= std::uint64_t{1} << n;
    return set;
  }

  Result<unsigned> step_of(const Field& field, bool is_range) {
    const std::size_t slash = at_;
    if (!take('/')) return 1;
    if (!is_range) return wrong(slash, "a step needs a range before it, such as */5 or 0-30/5");
    const std::size_t start = at_;
    const auto step = number();
    if (!step || *step < 1 || *step > field.high)
      return wrong(start, "expected a step 1-" + std::to_string(field.high) + found(start));
    return *step;
  }

  std::optional<unsigned> number() {
    unsigned value = 0;
    const std::size_t start = at_;
    while (at_ < text_.size() && is_digit(text_[at_]) && at_ - start < 4)
      value = value * 10 + static_cast<unsigned>(text_[at_++] - '0');
    return at_ == start ? std::nullopt : std::optional(value);
  }

  Result<unsigned> value(const Field& field) {
    const std::size_t start = at_;
    if (const auto named = name(field)) return *named;
    const auto n = number();
    if (n && *n >= field.low && *n <= field.high) return *n;
    return wrong(start, "expected " + range_of(field) + found(start));
  }

  std::optional<unsigned> name(const Field& field) {
    std::size_t end = at_;
    while (end < text_.size() && is_letter(text_[end])) ++end;
    if (end - at_ != 3) return std::nullopt;
    const std::string word{lower(text_[at_]), lower(text_[at_ + 1]), lower(text_[at_ + 2])};
    for (std::size_t i = 0; i + 3 <= field.names.size(); i += 3) {
      if (field.names.substr(i, 3) != word) continue;
      at_ = end;
      return field.low + static_cast<unsigned>(i / 3);
    }
    return std::nullopt;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

bool has(std::uint64_t set, unsigned value) { return (set >> value & 1) != 0; }

// The lowest member that is not below `from`; 64 when there is none.
unsigned first_from(std::uint64_t set, unsigned from) {
  return static_cast<unsigned>(std::countr_zero(from > 63 ? 0 : set >> from << from));
}

// A day that some year has. Weekdays come by on every day of the year, so only days of the month
// can be in no month.
bool is_possible(const Cron& cron) {
  if (!cron.any_day && !cron.any_weekday) return true;
  for (unsigned m = 1; m <= 12; ++m)
    if (has(cron.months, m) && first_from(cron.days, 1) <= kLongestMonth[m - 1]) return true;
  return false;
}

// The first match on that day at or after `clock`.
std::optional<seconds> next_on_day(const Cron& cron, seconds clock) {
  auto minute = ceil<minutes>(clock).count();
  for (unsigned hour = first_from(cron.hours, static_cast<unsigned>(minute / 60)); hour < 24;
       hour = first_from(cron.hours, hour + 1)) {
    const bool is_first = hour == minute / 60;
    const unsigned at = first_from(cron.minutes, is_first ? static_cast<unsigned>(minute % 60) : 0);
    if (at < 60) return hours{hour} + minutes{at};
  }
  return std::nullopt;
}

}  // namespace

Result<Cron> parse_cron(std::string_view text) {
  if (text.size() > kMaxCron)
    return fail(Code::kLimit, "a cron expression may have " + std::to_string(kMaxCron) + " bytes");
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  std::string_view fields = text;
  if (text.starts_with('@')) {
    const auto* known = std::ranges::find(kShorthands, text, &Shorthand::name);
    if (known == kShorthands.end())
      return fail(Code::kUsage, "cron \"" + printable(text) + "\" is no shorthand",
                  "there are @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually; "
                  "each ten minutes is --every 10m");
    fields = known->fields;
  }
  auto cron = Parser(fields).whole();
  if (cron && !is_possible(*cron))
    return fail(Code::kUsage, "cron \"" + printable(text) + "\" never happens",
                "none of its months has such a day");
  return cron;
}

bool matches_day(const Cron& cron, local_days day) {
  const year_month_day date(day);
  if (!has(cron.months, static_cast<unsigned>(date.month()))) return false;
  const bool by_day = has(cron.days, static_cast<unsigned>(date.day()));
  const bool by_weekday = has(cron.weekdays, weekday(day).c_encoding());
  if (!cron.any_day && !cron.any_weekday) return by_day || by_weekday;
  return by_day && by_weekday;
}

std::optional<LocalTime> next_local(const Cron& cron, LocalTime from) {
  local_days day = floor<days>(from);
  seconds clock = from - day;
  while (year_month_day(day).year() <= kLastYear) {
    const year_month_day date(day);
    if (!has(cron.months, static_cast<unsigned>(date.month()))) {
      day = local_days((date.year() / date.month() + months{1}) / 1);
      clock = {};
      continue;
    }
    if (matches_day(cron, day))
      if (const auto at = next_on_day(cron, clock)) return day + *at;
    day += days{1};
    clock = {};
  }
  return std::nullopt;
}

}  // namespace rexec::schedule
