// Flags as tables, and the one parser that reads them. The same rows are the parser's grammar, the
// text of --help, what completion offers and what tests/e2e/test_man.py compares with the manual,
// so none of them can drift. Written by hand because CLI11 keeps no such table, splits "[a,b]" and
// cannot stop at TARGET. It knows no verb; verbs.hpp does.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/base/clock.hpp"
#include "src/base/error.hpp"

namespace rexec::cli {

enum class Takes { kNothing, kValue, kOptionalValue };
// kLater: part of the contract (CLI.md), refused clearly until a version has it. kHidden: on no
// list; the verb takes it, or says why it does not.
enum class Standing { kHere, kLater, kHidden };
// Of a verb's flag that takes a value: two different ones are an error unless they add up. What
// applies everywhere (the globals) may come from an alias, and the last one counts.
enum class Often { kOnce, kRepeated };

struct Flag {
  char letter = 0;
  std::string_view name;          // without the dashes
  std::string_view value = {};    // how --help calls it; empty: takes none
  std::string_view help = {};     // one line
  std::string_view choices = {};  // for completion: "a|b|c", "@node", "@job", "@file" …
  Takes takes = value.empty() ? Takes::kNothing : Takes::kValue;
  Standing standing = Standing::kHere;
  Often often = Often::kOnce;
};

// How a value that is a duration is called.
inline constexpr std::string_view kDurationValue = "D";

// How the words that are not flags are taken.
enum class Words {
  kAnywhere,  // flags and words in any order, "--" ends the flags
  kCommand,   // flags, TARGET, flags, [--], then every word verbatim: run, submit
  kVerbatim,  // everything is a word: hidden verbs with a grammar of their own
};

// What was given. Views into argv (argv lives as long as the process) and into the flag tables.
class Args {
 public:
  bool has(std::string_view name) const { return find(name) != nullptr; }
  // The last one given, or `otherwise`.
  std::string value(std::string_view name, std::string_view otherwise = {}) const;
  std::vector<std::string> values(std::string_view name) const;
  // kUsage naming the flag. The default when it was not given.
  Result<Millis> duration(std::string_view name, Millis otherwise) const;
  Result<std::uint64_t> number(std::string_view name, std::uint64_t otherwise,
                               std::uint64_t highest, std::uint64_t lowest = 0) const;
  // One of the words of "a|b|c"; kUsage with a suggestion otherwise.
  Result<std::string> choice(std::string_view name, std::string_view allowed,
                             std::string_view otherwise) const;

  // kUsage of the first value of a flag that is called D and is no duration.
  Result<void> check_durations() const;
  // "--user has "n1" as its value": the last word that a flag took and that can be anything, for
  // whoever misses a word. Empty when there is none.
  std::string last_taken() const;

  const std::vector<std::string>& words() const { return words_; }
  std::string word(std::size_t i) const { return i < words_.size() ? words_[i] : std::string(); }

  // The same flags with other words.
  Args with_words(std::vector<std::string> words) const {
    Args out = *this;
    out.words_ = std::move(words);
    return out;
  }

  // Where the value stood: in the flag's own word (--name=value, -n5) or in the next one.
  enum class Stood { kInside, kNextWord };
  // kUsage when another value was given for a flag that has one.
  Result<void> add(const Flag& flag, std::string_view value, Stood stood, bool is_global);
  void add_word(std::string_view word) { words_.emplace_back(word); }

 private:
  struct Given {
    const Flag* flag;
    std::string_view value;
    Stood stood;
  };
  const std::string_view* find(std::string_view name) const;
  std::vector<Given> given_;
  std::vector<std::string> words_;
};

struct Grammar {
  std::span<const Flag> globals;
  std::span<const Flag> flags;
  Words words = Words::kAnywhere;
  std::string_view see;  // "rexec run --help", for hints
};

// kUsage: an unknown flag (with did-you-mean), a missing or superfluous value, one of a later
// version. `args` has what was understood nevertheless, for whoever must tell of the error.
struct Parsed {
  Args args;
  std::optional<Error> error;
};
Parsed parse_all_flags(const Grammar& grammar, std::span<const char* const> argv);
Result<Args> parse_flags(const Grammar& grammar, std::span<const char* const> argv);

// The row for "--name" without dashes, or nullptr.
const Flag* find_flag(std::span<const Flag> flags, std::string_view name);
const Flag* find_flag(std::span<const Flag> flags, char letter);

}  // namespace rexec::cli
