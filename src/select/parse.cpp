// Recursive descent, one function per rule, depth-limited:
//   target := and ("," and)*     and := unary ("&" unary)*
//   unary  := "!" unary | "(" target ")" | "@" name | name "=" value | name with [ranges]
// It builds the tree and merges lists of names, so that 10,000 names are one node of it.
#include "src/select/parse.hpp"

#include <algorithm>

#include "src/base/ids.hpp"
#include "src/base/text.hpp"
#include "src/select/expand.hpp"
#include "src/select/fold.hpp"

namespace rexec::select {
namespace {

constexpr std::string_view kEnds = ",&!()@= \t";
constexpr std::string_view kValueEnds = ",&!()@ \t";
constexpr std::size_t kMaxValue = 255;

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Selector> whole() {
    Result<Selector> found = any_of();
    if (!found) return found;
    if (at_ == text_.size()) return found;
    const char c = text_[at_];
    if (c == '!') return fail_at(at_, "expected \",\" or \"&\" before \"!\"", "write a&!b");
    if (c == ')') return fail_at(at_, "\")\" without \"(\"", "");
    return fail_at(at_, "expected \",\" or \"&\"", "a command goes after it: TARGET -- CMD");
  }

 private:
  Result<Selector> any_of() {
    Selector names;
    Selector either{Kind::kOr, {}, {}, {}};
    std::size_t operands = 0;
    std::size_t negation = std::string_view::npos;  // where an operand of the list begins with "!"
    do {
      skip_spaces();
      const std::size_t start = at_;
      Result<Selector> next = all_of();
      if (!next) return next;
      if (next->kind == Kind::kNot && text_[start] == '!') negation = start;
      ++operands;
      if (next->kind == Kind::kNames) {
        std::ranges::move(next->names, std::back_inserter(names.names));
      } else {
        either.children.push_back(std::move(*next));
      }
    } while (take(','));
    if (operands > 1 && negation != std::string_view::npos) {
      return fail_at(negation, "in a list \"!\" would add every node but that one",
                     "to leave nodes out write a&!b; if you mean it, write a,(!b)");
    }
    if (!names.names.empty()) either.children.insert(either.children.begin(), unique(names));
    if (either.children.size() == 1) return std::move(either.children.front());
    return either;
  }

  Result<Selector> all_of() {
    Selector both{Kind::kAnd, {}, {}, {}};
    do {
      Result<Selector> next = unary();
      if (!next) return next;
      both.children.push_back(std::move(*next));
    } while (take('&'));
    if (both.children.size() == 1) return std::move(both.children.front());
    return both;
  }

  Result<Selector> unary() {
    skip_spaces();
    if (depth_ >= kMaxTargetDepth) {
      return fail_at(at_, "more than 32 levels of \"!\" and \"(\"", "", Code::kLimit);
    }
    if (peek() == '!' || peek() == '(' || peek() == '@') ++terms_;
    if (terms_ > kMaxTargetTerms) {
      return fail_at(at_, "more than 1,000 terms", "use a group", Code::kLimit);
    }
    ++depth_;
    Result<Selector> found = peek() == '!'   ? negated()
                             : peek() == '(' ? parenthesised()
                             : peek() == '@' ? group()
                                             : word();
    --depth_;
    return found;
  }

  Result<Selector> negated() {
    ++at_;
    Result<Selector> inner = unary();
    if (!inner) return inner;
    Selector negation{Kind::kNot, {}, {}, {}};
    negation.children.push_back(std::move(*inner));
    return negation;
  }

  Result<Selector> parenthesised() {
    const std::size_t open = at_++;
    Result<Selector> inner = any_of();
    if (!inner) return inner;
    if (!take(')')) return fail_at(open, "\"(\" is not closed", "");
    return inner;
  }

  Result<Selector> group() {
    const std::size_t start = ++at_;
    const std::string name(take_until(kEnds));
    const Result<void> good = check_name("group", name);
    if (!good) return fail_at(start, good.error().message, good.error().hint);
    if (name == "all") return Selector{Kind::kAll, {}, {}, {}};
    return Selector{Kind::kGroup, {name}, {}, {}};
  }

  // A node, several nodes by brackets, or a label.
  Result<Selector> word() {
    const std::size_t start = at_;
    const std::string_view pattern = take_pattern();
    if (peek() == '=') return label(start, pattern);
    if (pattern.empty()) {
      return fail_at(start, "expected a node, @group, label=value, \"!\" or \"(\"",
                     "for example node42, node[01-20], @web, os=linux, @all");
    }
    auto expanded = expand_names(pattern, kMaxTargetNames - names_);
    if (!expanded) {
      const ExpandError& error = expanded.error();
      return fail_at(start + error.offset, error.why, error.hint, error.code);
    }
    names_ += expanded->size();
    return unique(Selector{Kind::kNames, std::move(*expanded), {}, {}});
  }

  Result<Selector> label(std::size_t start, std::string_view key) {
    ++terms_;
    const Result<void> good = check_name("label", key);
    if (!good) return fail_at(start, good.error().message, good.error().hint);
    ++at_;
    const std::size_t value_start = at_;
    const std::string value(take_until(kValueEnds));
    if (value.empty()) return fail_at(value_start, "expected the label's value after \"=\"", "");
    if (value.size() > kMaxValue || !is_utf8(value) || printable(value) != value) {
      return fail_at(value_start, "a label's value is at most 255 bytes of plain text", "");
    }
    return Selector{Kind::kLabel, {std::string(key)}, value, {}};
  }

  // Up to an operator outside of brackets; commas inside belong to the ranges.
  std::string_view take_pattern() {
    const std::size_t start = at_;
    bool inside = false;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '[') inside = true;
      if (c == ']') inside = false;
      if (kEnds.find(c) != std::string_view::npos && !(inside && c == ',')) break;
    }
    return text_.substr(start, at_ - start);
  }

  std::string_view take_until(std::string_view ends) {
    const std::size_t start = at_;
    at_ = std::min(text_.find_first_of(ends, at_), text_.size());
    return text_.substr(start, at_ - start);
  }

  bool take(char wanted) {
    skip_spaces();
    if (peek() != wanted) return false;
    ++at_;
    return true;
  }

  void skip_spaces() {
    while (peek() == ' ' || peek() == '\t') ++at_;
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  static Selector unique(Selector names) {
    std::ranges::sort(names.names);
    const auto rest = std::ranges::unique(names.names);
    names.names.erase(rest.begin(), rest.end());
    return names;
  }

  std::unexpected<Error> fail_at(std::size_t offset, const std::string& why,
                                 const std::string& hint, Code code = Code::kUsage) const {
    std::size_t column = 1;  // in characters, as an editor counts
    for (const char c : text_.substr(0, offset)) column += (c & 0xC0) == 0x80 ? 0 : 1;
    const std::size_t from = offset > 40 ? offset - 40 : 0;
    const std::string shown = (from > 0 ? "…" : "") + printable(text_.substr(from, 80)) +
                              (text_.size() > from + 80 ? "…" : "");
    const std::string place = "target \"" + shown + "\", column " + std::to_string(column);
    return fail(code, place + ": " + why, hint);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t names_ = 0;
  std::size_t terms_ = 0;
  int depth_ = 0;
};

std::string joined(const std::vector<std::string>& parts, char with) {
  std::string text;
  for (const std::string& part : parts) {
    if (!text.empty()) text += with;
    text += part;
  }
  return text;
}

// True for "a,b", not for "n[1,2]".
bool is_list(std::string_view text) {
  bool inside = false;
  for (const char c : text) {
    if (c == '[' || c == ']') inside = c == '[';
    if (c == ',' && !inside) return true;
  }
  return false;
}

// How an operand is written inside `&` or `!`: what binds looser gets parentheses.
std::string operand(const Selector& selector) {
  const std::string text = to_text(selector);
  const bool loose = selector.kind == Kind::kOr || selector.kind == Kind::kAnd ||
                     (selector.kind == Kind::kNames && is_list(text));
  return loose ? "(" + text + ")" : text;
}

}  // namespace

Result<Selector> parse_target(std::string_view text) {
  if (text.size() > kMaxTargetText) {
    return fail(Code::kLimit, "the target is longer than 64 KiB", "use a group or a label");
  }
  return Parser(text).whole();
}

std::string to_text(const Selector& selector) {
  std::vector<std::string> parts;
  switch (selector.kind) {
    case Kind::kAll:
      return "@all";
    case Kind::kNames:
      return fold_names(selector.names);
    case Kind::kGroup:
      return "@" + selector.names.at(0);
    case Kind::kLabel:
      return selector.names.at(0) + "=" + selector.value;
    case Kind::kNot:
      return "!" + operand(selector.children.at(0));
    case Kind::kAnd:
      for (const Selector& child : selector.children) parts.push_back(operand(child));
      return joined(parts, '&');
    case Kind::kOr:
      for (const Selector& child : selector.children) {
        const bool bare = child.kind != Kind::kNot && child.kind != Kind::kOr;
        parts.push_back(bare ? to_text(child) : "(" + to_text(child) + ")");
      }
      return joined(parts, ',');
  }
  return {};
}

}  // namespace rexec::select
