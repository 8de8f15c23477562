// The parser over the tables: GNU style (bundled letters, --name=value, "--" ends the flags), with
// the one rule that a command's words are never looked at.
#include "cli/line/flags.hpp"

#include <charconv>

#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

std::string shown(const Flag& flag) { return "--" + std::string(flag.name); }

std::vector<std::string> names_of(const Grammar& grammar) {
  std::vector<std::string> names;
  for (const auto& table : {grammar.flags, grammar.globals}) {
    for (const Flag& flag : table) {
      if (flag.standing == Standing::kHere) names.push_back(shown(flag));
    }
  }
  return names;
}

std::string hint_of(const Grammar& grammar, std::string_view word) {
  const std::string mean = did_you_mean(word, names_of(grammar));
  return (mean.empty() ? "" : mean + "\n") + "see: " + std::string(grammar.see);
}

// One pass over argv; each method takes what belongs together.
class Parser {
 public:
  Parser(const Grammar& grammar, std::span<const char* const> argv)
      : grammar_(grammar), argv_(argv) {}

  Parsed run() {
    std::optional<Error> error;
    while (at_ < argv_.size()) {
      const std::string_view word = argv_[at_++];
      const Result<void> taken = take(word);
      if (!taken && !error) error = taken.error();
    }
    return {std::move(args_), std::move(error)};
  }

 private:
  Result<void> take(std::string_view word) {
    if (flags_over_ || grammar_.words == Words::kVerbatim) {
      take_word(word);
      return {};
    }
    if (word == "--") {
      flags_over_ = true;
      return {};
    }
    if (word.starts_with("--")) return take_long(word.substr(2));
    if (word.size() > 1 && word[0] == '-') return take_letters(word.substr(1));
    take_word(word);
    return {};
  }

  void take_word(std::string_view word) {
    args_.add_word(word);
    // The second word of `run` begins the command: from here on nothing is ours. After
    // "-- TARGET" one more "--" may stand in front of the command.
    if (grammar_.words != Words::kCommand) return;
    if (args_.words().size() >= 2) flags_over_ = true;
    const bool command_next = args_.words().size() == 1 && flags_over_;
    if (command_next && at_ < argv_.size() && std::string_view(argv_[at_]) == "--") ++at_;
  }

  Result<const Flag*> known(const Flag* flag, const std::string& word) const {
    if (flag == nullptr || flag->standing == Standing::kHidden) {
      if (flag != nullptr) return flag;
      std::string hint = hint_of(grammar_, word);
      if (grammar_.words == Words::kCommand && args_.words().size() == 1) {
        hint = "a command that begins with a dash needs -- before it\n" + hint;
      }
      return fail(Code::kUsage, "unknown flag \"" + printable(word) + "\"", hint);
    }
    if (flag->standing == Standing::kLater) {
      return fail(Code::kUsage, shown(*flag) + " is not in this version of rexec",
                  "see: " + std::string(grammar_.see));
    }
    return flag;
  }

  Result<void> take_long(std::string_view text) {
    const auto equals = text.find('=');
    const std::string_view name = text.substr(0, equals);
    const Flag* row = find_flag(grammar_.flags, name);
    if (row == nullptr) row = find_flag(grammar_.globals, name);
    const Result<const Flag*> flag = known(row, "--" + std::string(name));
    if (!flag) return std::unexpected(flag.error());
    if (equals == std::string_view::npos) return take_value(**flag);
    if ((*flag)->takes == Takes::kNothing) {
      return fail(Code::kUsage, shown(**flag) + " takes no value", hint());
    }
    return add(**flag, text.substr(equals + 1), Args::Stood::kInside);
  }

  Result<void> take_letters(std::string_view letters) {
    for (std::size_t i = 0; i < letters.size(); ++i) {
      const Flag* row = find_flag(grammar_.flags, letters[i]);
      if (row == nullptr) row = find_flag(grammar_.globals, letters[i]);
      const Result<const Flag*> flag = known(row, std::string("-") + letters[i]);
      if (!flag) return std::unexpected(flag.error());
      if ((*flag)->takes == Takes::kNothing) {
        static_cast<void>(add(**flag, {}, Args::Stood::kInside));
      } else if (i + 1 < letters.size()) {
        return add(**flag, letters.substr(i + 1), Args::Stood::kInside);
      } else {
        return take_value(**flag);
      }
    }
    return {};
  }

  // The value in the next word, when the flag needs one.
  Result<void> take_value(const Flag& flag) {
    if (flag.takes != Takes::kValue) return add(flag, {}, Args::Stood::kInside);
    if (at_ == argv_.size()) {
      return fail(Code::kUsage, shown(flag) + " needs a value: " + std::string(flag.value), hint());
    }
    return add(flag, argv_[at_++], Args::Stood::kNextWord);
  }

  Result<void> add(const Flag& flag, std::string_view value, Args::Stood stood) {
    const Flag* global = find_flag(grammar_.globals, flag.name);
    Result<void> added = args_.add(flag, value, stood, global == &flag);
    if (!added) added.error().hint = hint();
    return added;
  }

  std::string hint() const { return "see: " + std::string(grammar_.see); }

  const Grammar& grammar_;
  std::span<const char* const> argv_;
  std::size_t at_ = 0;
  bool flags_over_ = false;
  Args args_;
};

}  // namespace

const Flag* find_flag(std::span<const Flag> flags, std::string_view name) {
  for (const Flag& flag : flags) {
    if (!name.empty() && flag.name == name) return &flag;
  }
  return nullptr;
}

const Flag* find_flag(std::span<const Flag> flags, char letter) {
  for (const Flag& flag : flags) {
    if (flag.letter == letter && letter != 0) return &flag;
  }
  return nullptr;
}

Parsed parse_all_flags(const Grammar& grammar, std::span<const char* const> argv) {
  return Parser(grammar, argv).run();
}

Result<Args> parse_flags(const Grammar& grammar, std::span<const char* const> argv) {
  Parsed parsed = parse_all_flags(grammar, argv);
  if (parsed.error) return std::unexpected(std::move(*parsed.error));
  return std::move(parsed.args);
}

const std::string_view* Args::find(std::string_view name) const {
  for (auto at = given_.rbegin(); at != given_.rend(); ++at) {
    if (at->flag->name == name) return &at->value;
  }
  return nullptr;
}

Result<void> Args::add(const Flag& flag, std::string_view value, Stood stood, bool is_global) {
  const std::string_view* before = find(flag.name);
  const bool adds_up = flag.often == Often::kRepeated || flag.takes == Takes::kNothing || is_global;
  if (before != nullptr && !adds_up && *before != value)
    return fail(Code::kUsage, shown(flag) + " is given twice: \"" +
                                  printable(before->substr(0, 64)) + "\" and \"" +
                                  printable(value.substr(0, 64)) + "\"");
  given_.push_back({&flag, value, stood});
  return {};
}

Result<void> Args::check_durations() const {
  for (const Given& one : given_) {
    const bool is_left_open = one.flag->takes == Takes::kOptionalValue && one.value.empty();
    if (one.flag->value != kDurationValue || is_left_open) continue;
    const Result<Millis> read = parse_duration(shown(*one.flag), one.value);
    if (!read) return std::unexpected(read.error());
  }
  return {};
}

std::string Args::last_taken() const {
  for (auto at = given_.rbegin(); at != given_.rend(); ++at) {
    if (at->stood != Stood::kNextWord) continue;
    if (at->flag->value == kDurationValue) return {};
    return shown(*at->flag) + " has \"" + printable(at->value.substr(0, 64)) + "\" as its value";
  }
  return {};
}

std::string Args::value(std::string_view name, std::string_view otherwise) const {
  const std::string_view* found = find(name);
  return std::string(found == nullptr ? otherwise : *found);
}

std::vector<std::string> Args::values(std::string_view name) const {
  std::vector<std::string> all;
  for (const Given& one : given_) {
    if (one.flag->name == name) all.emplace_back(one.value);
  }
  return all;
}

Result<Millis> Args::duration(std::string_view name, Millis otherwise) const {
  const std::string_view* found = find(name);
  if (found == nullptr) return otherwise;
  return parse_duration("--" + std::string(name), *found);
}

Result<std::uint64_t> Args::number(std::string_view name, std::uint64_t otherwise,
                                   std::uint64_t highest, std::uint64_t lowest) const {
  const std::string_view* found = find(name);
  if (found == nullptr) return otherwise;
  std::uint64_t number = 0;
  const char* end = found->data() + found->size();
  const auto [stop, error] = std::from_chars(found->data(), end, number);
  if (error == std::errc() && stop == end && !found->empty() && number >= lowest &&
      number <= highest)
    return number;
  return fail(Code::kUsage, "--" + std::string(name) + ": \"" + printable(found->substr(0, 64)) +
                                "\" is not a number from " + std::to_string(lowest) + " to " +
                                std::to_string(highest));
}

Result<std::string> Args::choice(std::string_view name, std::string_view allowed,
                                 std::string_view otherwise) const {
  const std::string_view* found = find(name);
  if (found == nullptr) return std::string(otherwise);
  const std::vector<std::string> words = split(allowed, '|');
  for (const std::string& word : words) {
    if (word == *found) return word;
  }
  const std::string mean = did_you_mean(*found, words);
  return fail(Code::kUsage,
              "--" + std::string(name) + ": \"" + printable(found->substr(0, 64)) +
                  "\" is not one of " + std::string(allowed),
              mean.empty() ? "for example: --" + std::string(name) + " " + words.front() : mean);
}

}  // namespace rexec::cli
