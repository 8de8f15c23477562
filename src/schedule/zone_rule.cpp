// POSIX TZ strings, by recursive descent.
#include "src/schedule/zone_rule.hpp"

#include "src/base/text.hpp"

namespace rexec::schedule {
namespace {

using namespace std::chrono;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Every take_* leaves `ok_` false when what it wants is not there; whole() looks once at the end.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::optional<ZoneRule> whole() {
    ZoneRule rule;
    take_name();
    rule.standard = -take_clock(24);
    if (ok_ && at_ < text_.size()) rule.summer = take_summer(rule.standard);
    if (!ok_ || at_ != text_.size()) return std::nullopt;
    return rule;
  }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) {
    if (peek() != c || c == '\0') return false;
    ++at_;
    return true;
  }
  void need(bool holds) { ok_ = ok_ && holds; }

  void take_name() {
    const std::size_t start = at_;
    if (take('<')) {
      while (at_ < text_.size() && peek() != '>') ++at_;
      need(take('>'));
    } else {
      while (is_letter(peek())) ++at_;
    }
    need(at_ - start >= 3);
  }
  unsigned take_number(unsigned low, unsigned high) {
    unsigned value = 0;
    need(is_digit(peek()));
    while (is_digit(peek()) && value <= high)
      value = value * 10 + static_cast<unsigned>(text_[at_++] - '0');
    need(value >= low && value <= high);
    return value;
  }
  // [+-]hh[:mm[:ss]]
  seconds take_clock(unsigned most_hours) {
    const bool is_negative = take('-');
    if (!is_negative) take('+');
    seconds sum = hours{take_number(0, most_hours)};
    if (take(':')) sum += minutes{take_number(0, 59)};
    if (take(':')) sum += seconds{take_number(0, 59)};
    return is_negative ? -sum : sum;
  }
  YearlyMoment take_moment() {
    YearlyMoment moment;
    if (take('M')) {
      moment.month = take_number(1, 12);
      need(take('.'));
      moment.week = take_number(1, 5);
      need(take('.'));
      moment.day = take_number(0, 6);
    } else if (take('J')) {
      moment.kind = YearlyMoment::Kind::kJulian;
      moment.day = take_number(1, 365);
    } else {
      moment.kind = YearlyMoment::Kind::kDayOfYear;
      moment.day = take_number(0, 365);
    }
    if (take('/')) moment.time = take_clock(167);
    return moment;
  }
  ZoneRule::Summer take_summer(seconds standard) {
    ZoneRule::Summer summer;
    take_name();
    const bool has_offset = ok_ && peek() != ',';
    summer.offset = has_offset ? -take_clock(24) : standard + hours{1};
    need(take(','));
    summer.begin = take_moment();
    need(take(','));
    summer.end = take_moment();
    return summer;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

sys_seconds local_moment(const YearlyMoment& moment, year y) {
  const sys_days first_day = y / 1 / 1;
  switch (moment.kind) {
    case YearlyMoment::Kind::kJulian:  // day 60 is 1 March in every year
      return first_day + days{moment.day - 1 + (y.is_leap() && moment.day >= 60 ? 1 : 0)} +
             moment.time;
    case YearlyMoment::Kind::kDayOfYear:
      return first_day + days{moment.day} + moment.time;
    case YearlyMoment::Kind::kMonthWeekDay:
      break;
  }
  const weekday wanted(moment.day);
  const auto in_month = y / month(moment.month);
  const sys_days day = moment.week == 5 ? sys_days(in_month / wanted[last])
                                        : sys_days(in_month / wanted[moment.week]);
  return day + moment.time;
}

}  // namespace

Result<ZoneRule> parse_zone_rule(std::string_view text) {
  if (auto rule = Parser(text).whole()) return *rule;
  return fail(Code::kUsage, "\"" + printable(text.substr(0, 64)) + "\" is no rule of a time zone");
}

std::vector<OffsetChange> changes_of_year(const ZoneRule& rule, year year) {
  if (!rule.summer) return {};
  const OffsetChange begin{local_moment(rule.summer->begin, year) - rule.standard,
                           rule.summer->offset};
  const OffsetChange end{local_moment(rule.summer->end, year) - rule.summer->offset, rule.standard};
  return begin.at <= end.at ? std::vector{begin, end} : std::vector{end, begin};
}

}  // namespace rexec::schedule
