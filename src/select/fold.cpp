// Names are grouped by what surrounds their last number and by its padding; each group's numbers
// are then written as ranges.
#include "src/select/fold.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string_view>
#include <vector>

#include "src/select/order.hpp"

namespace rexec::select {
namespace {

constexpr std::size_t kMaxDigits = 9;  // what the parser reads back

struct Shape {
  std::string before;
  std::string after;
  std::size_t width = 0;  // 0: without leading zeros, so widths differ freely
  bool operator<(const Shape& other) const {
    if (before != other.before) return natural_less(before, other.before);
    if (after != other.after) return natural_less(after, other.after);
    return width < other.width;
  }
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Where the last run of digits is; an empty run when there is none that fits.
std::string_view last_number(std::string_view name) {
  std::size_t end = name.size();
  while (end > 0 && !is_digit(name[end - 1])) --end;
  std::size_t begin = end;
  while (begin > 0 && is_digit(name[begin - 1])) --begin;
  if (end - begin > kMaxDigits) return {};
  return name.substr(begin, end - begin);
}

std::string padded(std::uint32_t value, std::size_t width) {
  std::string digits = std::to_string(value);
  if (digits.size() < width) digits.insert(0, width - digits.size(), '0');
  return digits;
}

// 1-3,7 from the sorted numbers.
std::string ranges_of(const std::set<std::uint32_t>& numbers, std::size_t width) {
  std::string text;
  for (auto at = numbers.begin(); at != numbers.end();) {
    const std::uint32_t first = *at;
    std::uint32_t last = first;
    for (++at; at != numbers.end() && *at == last + 1; ++at) last = *at;
    if (!text.empty()) text += ',';
    text += padded(first, width);
    if (last > first) text += "-" + padded(last, width);
  }
  return text;
}

using Shapes = std::map<Shape, std::set<std::uint32_t>>;

// 08 and 10 belong together: a number without leading zeros joins the padded ones of its width.
void join_padded(Shapes& shapes) {
  for (auto& [shape, numbers] : shapes) {
    if (shape.width > 0) continue;
    std::erase_if(numbers, [&](std::uint32_t number) {
      const auto padded = shapes.find({shape.before, shape.after, std::to_string(number).size()});
      if (padded == shapes.end()) return false;
      padded->second.insert(number);
      return true;
    });
  }
  std::erase_if(shapes, [](const auto& entry) { return entry.second.empty(); });
}

}  // namespace

std::string fold_names(std::span<const std::string> names) {
  Shapes shapes;
  std::set<std::string> plain;
  for (const std::string& name : names) {
    const std::string_view digits = last_number(name);
    if (digits.empty()) {
      plain.insert(name);
      continue;
    }
    const auto begin = static_cast<std::size_t>(digits.data() - name.data());
    const bool zeros = digits.size() > 1 && digits[0] == '0';
    Shape shape{name.substr(0, begin), name.substr(begin + digits.size()), 0};
    shape.width = zeros ? digits.size() : 0;
    shapes[shape].insert(static_cast<std::uint32_t>(std::stoul(std::string(digits))));
  }
  join_padded(shapes);
  std::vector<std::string> words(plain.begin(), plain.end());
  for (auto& [shape, numbers] : shapes) {
    const bool single = numbers.size() == 1;
    const std::string inside = ranges_of(numbers, shape.width);
    words.push_back(shape.before + (single ? inside : "[" + inside + "]") + shape.after);
  }
  std::ranges::sort(words, natural_less);
  std::string text;
  for (const std::string& word : words) text.append(text.empty() ? "" : ",").append(word);
  return text;
}

}  // namespace rexec::select
