#include "cli/line/complete.hpp"

#include <algorithm>
#include <utility>

#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

// bash cuts words at "=": "--flag", "=", "value" are one again; the value alone is then offered.
struct Line {
  std::vector<std::string> before;
  std::string typed;
  std::string flag_cut_off;  // "--flag" when its "=" was a word of its own
};

Line join_words(const std::vector<std::string>& words) {
  Line line;
  std::vector<std::string> joined;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool is_equals = words[i] == "=" && !joined.empty() && joined.back().starts_with("--");
    if (!is_equals) {
      joined.push_back(words[i]);
      continue;
    }
    const bool is_at_end = i + 2 >= words.size();
    if (is_at_end) line.flag_cut_off = joined.back();
    joined.back() += "=";
    if (i + 1 < words.size()) joined.back() += words[++i];
  }
  if (joined.empty()) return line;
  line.typed = std::move(joined.back());
  joined.pop_back();
  line.before = std::move(joined);
  if (!line.flag_cut_off.empty()) line.typed.erase(0, line.flag_cut_off.size() + 1);
  return line;
}

// Where on the line one is: the verb, how many of its words are there, whether flags are over.
struct Place {
  std::span<const Verb* const> level;  // sub-commands to choose from, empty below a verb
  const Verb* verb = nullptr;
  const Flag* waiting = nullptr;  // a flag whose value comes next
  std::size_t words = 0;
  bool flags_over = false;
};

class Completer {
 public:
  explicit Completer(const CompletionTables& tables) : tables_(tables) {
    place_.level = tables.verbs;
  }

  std::vector<Candidate> run(const Line& line) {
    for (const std::string& word : line.before) advance(word);
    if (!line.flag_cut_off.empty()) {
      const Flag* flag = find(line.flag_cut_off);
      if (flag != nullptr) offer_kind(flag->choices, "", line.typed);
    } else {
      offer(line.typed);
    }
    return std::move(candidates_);
  }

 private:
  const Flag* find(std::string_view word) const {
    const bool is_long = word.starts_with("--");
    for (const auto& table :
         {place_.verb != nullptr ? place_.verb->flags : std::span<const Flag>(), tables_.globals}) {
      const Flag* flag = is_long ? find_flag(table, word.substr(2)) : find_flag(table, word.back());
      if (flag != nullptr) return flag;
    }
    return nullptr;
  }

  void advance(const std::string& word) {
    if (std::exchange(place_.waiting, nullptr) != nullptr) return;
    const bool may_be_flag = !place_.flags_over && word.size() > 1 && word[0] == '-';
    if (may_be_flag && word == "--") {
      place_.flags_over = true;
    } else if (may_be_flag) {
      const bool has_value = word.starts_with("--") && word.find('=') != std::string::npos;
      const Flag* flag = has_value ? nullptr : find(word);
      if (flag != nullptr && flag->takes == Takes::kValue) place_.waiting = flag;
    } else if (!place_.level.empty()) {
      place_.verb = find_verb(place_.level, word);
      place_.level = place_.verb != nullptr ? place_.verb->subs : place_.level;
      if (place_.verb == nullptr) place_.level = {};
    } else {
      ++place_.words;
      const bool is_command = place_.verb != nullptr && place_.verb->words == Words::kCommand;
      if (is_command && place_.words >= 2) place_.flags_over = true;
    }
  }

  void offer(const std::string& typed) {
    if (place_.waiting != nullptr) return offer_kind(place_.waiting->choices, "", typed);
    if (!place_.flags_over && typed.starts_with("-")) return offer_flags(typed);
    if (!place_.level.empty()) return offer_verbs(typed);
    if (place_.verb != nullptr) offer_kind(word_kind(), "", typed);
  }

  void offer_verbs(const std::string& typed) {
    for (const Verb* verb : place_.level) {
      if (verb->shown == Shown::kYes) add(std::string(verb->name), verb->summary, typed);
    }
  }

  void offer_flags(const std::string& typed) {
    const auto equals = typed.find('=');
    if (equals != std::string::npos) {
      const Flag* flag = find(typed.substr(0, equals));
      if (flag == nullptr) return;
      return offer_kind(flag->choices, typed.substr(0, equals + 1), typed.substr(equals + 1));
    }
    for (const auto& table :
         {place_.verb != nullptr ? place_.verb->flags : std::span<const Flag>(), tables_.globals}) {
      for (const Flag& flag : table) {
        if (flag.standing == Standing::kHere) add("--" + std::string(flag.name), flag.help, typed);
      }
    }
  }

  // What the verb's next word is: `completes` has one entry a position, the last one repeats.
  std::string word_kind() const {
    const std::vector<std::string> kinds = split(place_.verb->completes, ' ');
    if (place_.verb->words != Words::kCommand && place_.words >= place_.verb->most) return {};
    return kinds[std::min(place_.words, kinds.size() - 1)];
  }

  // A list ("a,b") completes its last part.
  void offer_kind(std::string_view kind, const std::string& prefix, const std::string& typed) {
    if (kind.empty()) return;
    if (kind == "@file" || kind == ":file") return candidates_.push_back({":file", {}});
    if (kind == ":command") return candidates_.push_back({":command", {}});
    if (kind[0] != '@') {
      for (const std::string& word : split(kind, '|')) add(prefix + word, {}, prefix + typed);
      return;
    }
    const auto comma = kind == "@target" ? typed.rfind(',') : std::string::npos;
    const std::string head = comma == std::string::npos ? "" : typed.substr(0, comma + 1);
    const std::vector<std::string> taken = split(head, ',');
    for (const std::string& name : tables_.names(kind)) {
      if (std::find(taken.begin(), taken.end(), name) != taken.end()) continue;
      add(prefix + head + name, {}, prefix + typed);
    }
  }

  void add(std::string word, std::string_view help, const std::string& typed) {
    if (word.starts_with(typed)) candidates_.push_back({std::move(word), std::string(help)});
  }

  const CompletionTables& tables_;
  Place place_;
  std::vector<Candidate> candidates_;
};

}  // namespace

std::vector<Candidate> complete(const CompletionTables& tables,
                                const std::vector<std::string>& words) {
  return Completer(tables).run(join_words(words));
}

}  // namespace rexec::cli
