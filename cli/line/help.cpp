#include "cli/line/help.hpp"

#include <algorithm>
#include <vector>

namespace rexec::cli {
namespace {

using Rows = std::vector<std::pair<std::string, std::string>>;

// Width on a terminal; continuation bytes of UTF-8 take none (the tables have no wide letters).
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string two_columns(const Rows& rows) {
  std::size_t left = 0;
  for (const auto& [name, help] : rows)
    left = std::max(left, std::min<std::size_t>(width(name), 26));
  std::string text;
  for (const auto& [name, help] : rows) {
    text += "  " + name;
    if (width(name) > left) {
      text += "\n" + std::string(left + 4, ' ');
    } else {
      text += std::string(left + 2 - width(name), ' ');
    }
    text += help + "\n";
  }
  return text;
}

std::string flag_form(const Flag& flag) {
  std::string form = flag.letter != 0 ? std::string("-") + flag.letter : "   ";
  if (!flag.name.empty()) form += (flag.letter != 0 ? ", --" : " --") + std::string(flag.name);
  if (flag.takes == Takes::kValue) form += " " + std::string(flag.value);
  if (flag.takes == Takes::kOptionalValue) form += "[=" + std::string(flag.value) + "]";
  return form;
}

Rows flag_rows(std::span<const Flag> flags) {
  Rows rows;
  for (const Flag& flag : flags) {
    if (flag.standing == Standing::kHere) rows.emplace_back(flag_form(flag), flag.help);
  }
  return rows;
}

Rows verb_rows(std::span<const Verb* const> verbs) {
  Rows rows;
  for (const Verb* verb : verbs) {
    if (verb->shown == Shown::kYes) rows.emplace_back(verb->name, verb->summary);
  }
  return rows;
}

}  // namespace

std::string overview() {
  return "rexec runs commands on other machines.\n\n"
         "usage: rexec VERB [flags] …\n\n" +
         two_columns(verb_rows(all_verbs())) + "\nglobal flags:\n" +
         two_columns(flag_rows(global_flags())) +
         "\n  rexec demo             try it on this machine\n"
         "  rexec help VERB        one verb; man rexec-VERB says more\n"
         "  rexec explain CODE     what an error means and what to do\n";
}

std::string verb_help(const Verb& verb, const std::string& name) {
  std::string text = "rexec " + name + ": " + std::string(verb.summary) + "\n\nusage: rexec " +
                     name + (verb.synopsis.empty() ? "" : " ") + std::string(verb.synopsis) + "\n";
  if (!verb.subs.empty()) text += "\n" + two_columns(verb_rows(verb.subs));
  const Rows rows = flag_rows(verb.flags);
  if (!rows.empty()) text += "\nflags:\n" + two_columns(rows);
  if (!verb.details.empty()) text += "\n" + std::string(verb.details) + "\n";
  text += "\nGlobal flags: rexec help. More: man rexec-" + name.substr(0, name.find(' ')) + "\n";
  return text;
}

}  // namespace rexec::cli
