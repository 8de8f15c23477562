// Brackets are cut into ranges first and counted, and only then multiplied out.
#include "src/select/expand.hpp"

#include "src/base/ids.hpp"

namespace rexec::select {
namespace {

constexpr std::size_t kMaxDigits = 9;  // fits 32 bits; more would be a slip

struct Range {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  std::size_t width = 0;  // 0: not padded
};

// Literal text, then the ranges of the bracket that follows it (none at the very end).
struct Part {
  std::string_view literal;
  std::vector<Range> ranges;
};

struct Number {
  std::uint32_t value = 0;
  std::size_t digits = 0;
};

class Cutter {
 public:
  explicit Cutter(std::string_view pattern) : pattern_(pattern) {}

  std::expected<std::vector<Part>, ExpandError> parts() {
    std::vector<Part> found;
    while (true) {
      const std::size_t open = pattern_.find_first_of("[]", at_);
      Part part{pattern_.substr(at_, open - at_), {}};
      if (open == std::string_view::npos) {
        part.literal = pattern_.substr(at_);
        found.push_back(std::move(part));
        return found;
      }
      at_ = open;
      if (pattern_[open] == ']') return fail_here("\"]\" without \"[\"");
      std::expected<std::vector<Range>, ExpandError> ranges = bracket();
      if (!ranges) return std::unexpected(ranges.error());
      part.ranges = std::move(*ranges);
      found.push_back(std::move(part));
    }
  }

 private:
  std::expected<std::vector<Range>, ExpandError> bracket() {
    const std::size_t open = at_;
    std::vector<Range> ranges;
    do {
      ++at_;  // "[" or ","
      std::expected<Range, ExpandError> next = range();
      if (!next) return std::unexpected(next.error());
      ranges.push_back(*next);
    } while (peek() == ',');
    if (peek() != ']') {
      if (at_ < pattern_.size()) return fail_here("expected \"-\", \",\" or \"]\" in a range");
      at_ = open;
      return fail_here("\"[\" is not closed");
    }
    ++at_;
    return ranges;
  }

  std::expected<Range, ExpandError> range() {
    const std::size_t start = at_;
    const Number first = number();
    if (first.digits == 0) return fail_here("expected a number in a range");
    const bool padded = first.digits > 1 && pattern_[start] == '0';
    Range range{first.value, first.value, padded ? first.digits : 0};
    if (peek() == '-') {
      ++at_;
      const Number last = number();
      if (last.digits == 0) return fail_here("expected the last number of a range");
      range.last = last.value;
    }
    const bool too_long = at_ < pattern_.size() && pattern_[at_] >= '0' && pattern_[at_] <= '9';
    if (too_long) return fail_here("a number of more than 9 digits");
    if (range.last >= range.first) return range;
    at_ = start;
    return fail_here("the range runs backwards");
  }

  Number number() {
    Number read;
    while (read.digits < kMaxDigits && peek() >= '0' && peek() <= '9') {
      read.value = read.value * 10 + static_cast<std::uint32_t>(peek() - '0');
      ++read.digits;
      ++at_;
    }
    return read;
  }

  char peek() const { return at_ < pattern_.size() ? pattern_[at_] : '\0'; }

  std::unexpected<ExpandError> fail_here(std::string why) const {
    constexpr const char* kExample = "for example node[01-20,30]";
    return std::unexpected(ExpandError{Code::kUsage, at_, std::move(why), kExample});
  }

  std::string_view pattern_;
  std::size_t at_ = 0;
};

// How many names the parts make, or max + 1 when more than max.
std::size_t count_names(const std::vector<Part>& parts, std::size_t max) {
  std::size_t total = 1;
  for (const Part& part : parts) {
    if (part.ranges.empty()) continue;
    std::size_t choices = 0;
    for (const Range& range : part.ranges) choices += std::size_t{range.last} - range.first + 1;
    // Below 2^54 each: the bracket is at most 64 KiB of ranges of at most 10^9.
    if (choices > max || total * choices > max) return max + 1;
    total *= choices;
  }
  return total;
}

std::string padded(std::uint32_t value, std::size_t width) {
  std::string digits = std::to_string(value);
  if (digits.size() < width) digits.insert(0, width - digits.size(), '0');
  return digits;
}

}  // namespace

std::expected<std::vector<std::string>, ExpandError> expand_names(std::string_view pattern,
                                                                  std::size_t max_names) {
  std::expected<std::vector<Part>, ExpandError> parts = Cutter(pattern).parts();
  if (!parts) return std::unexpected(parts.error());
  if (count_names(*parts, max_names) > max_names) {
    return std::unexpected(ExpandError{Code::kLimit, 0, "the target has more than 10,000 names",
                                       "use a group or a label"});
  }
  std::vector<std::string> names{std::string()};
  for (const Part& part : *parts) {
    std::vector<std::string> longer;
    for (const std::string& name : names) {
      const std::string stem = name + std::string(part.literal);
      if (part.ranges.empty()) longer.push_back(stem);
      for (const Range& range : part.ranges) {
        for (std::uint32_t i = range.first; i <= range.last; ++i) {
          longer.push_back(stem + padded(i, range.width));
        }
      }
    }
    names = std::move(longer);
  }
  for (const std::string& name : names) {
    const Result<void> good = check_name("node", name);
    if (!good) {
      return std::unexpected(ExpandError{Code::kUsage, 0, good.error().message, good.error().hint});
    }
  }
  return names;
}

}  // namespace rexec::select
