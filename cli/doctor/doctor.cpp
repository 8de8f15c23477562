// `rexec doctor`: goes through what must hold for rexec to work here, and says what mends what does
// not. Changes nothing.
#include "cli/doctor/doctor.hpp"

#include <unistd.h>

#include "cli/line/errors.hpp"
#include "cli/line/listing.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

constexpr int kExitDegraded = 2;

const char* word_of(Health health) {
  switch (health) {
    case Health::kGood:
      return "ok";
    case Health::kDegraded:
      return "degraded";
    case Health::kBad:
      return "failed";
    case Health::kSkipped:
      return "skipped";
  }
  return "?";
}

std::string colored(const Globals& globals, Health health) {
  const std::string word = word_of(health);
  const std::string padded = word + std::string(9 - word.size(), ' ');
  if (!wants_color(globals, STDOUT_FILENO) || health == Health::kSkipped) return padded;
  const char* color = health == Health::kGood  ? "\x1b[32m"
                      : health == Health::kBad ? "\x1b[31m"
                                               : "\x1b[33m";
  return color + padded + "\x1b[0m";
}

std::string as_text(const Globals& globals, const std::vector<Check>& checks) {
  std::string text;
  for (const Check& check : checks) {
    text +=
        colored(globals, check.health) + " " + check.name + ": " + printable(check.finding) + "\n";
    if (check.mend.empty()) continue;
    for (const std::string& line : split(check.mend, '\n'))
      text += "            " + printable(line) + "\n";
  }
  return text;
}

int run(const Invocation& invocation) {
  const Globals& globals = invocation.globals;
  std::vector<Check> checks = check_client(globals);
  for (Check& check : check_machine()) checks.push_back(std::move(check));
  bool is_well = true;
  Listing listing;
  for (const Check& check : checks) {
    is_well = is_well && check.health != Health::kBad && check.health != Health::kDegraded;
    listing.add({}, check.name,
                {{"check", check.name},
                 {"health", word_of(check.health)},
                 {"finding", check.finding},
                 {"mend", check.mend}});
  }
  const bool is_table = globals.format == Format::kTable || globals.format == Format::kWide;
  print_out(is_table ? as_text(globals, checks) : format_listing(listing, globals.format));
  return is_well ? 0 : kExitDegraded;
}

}  // namespace

constinit const Verb doctor_verb{
    .name = "doctor",
    .summary = "check this machine, the context and the way to the controller",
    .run = run,
    .details = "Exit 0 when all is well, 2 when something is degraded or does not work.",
    .formats = kNamedFormats};

}  // namespace rexec::cli
