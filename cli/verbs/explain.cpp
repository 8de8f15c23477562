// `rexec explain [CODE]`: the page behind an error's stable code.
#include "cli/line/errors.hpp"
#include "cli/line/exit_status.hpp"
#include "cli/line/listing.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

std::string first_sentence(std::string_view text) {
  std::string line(text.substr(0, text.find_first_of(".:;\n")));
  return line;
}

int list_all(const Globals& globals) {
  Listing listing;
  listing.headings = {{"CODE"}, {"EXIT"}, {"RUN EXITS"}, {"MEANING"}};
  for (const Code code : all_codes()) {
    const std::string name(code_name(code));
    const std::string text(code_explanation(code));
    listing.add({name, std::to_string(exit_of_error(code)), std::to_string(exit_of_failure(code)),
                 first_sentence(text)},
                name,
                {{"code", name},
                 {"exit", exit_of_error(code)},
                 {"run_exit", exit_of_failure(code)},
                 {"explanation", text}});
  }
  return print_listing(globals, listing);
}

int run(const Invocation& invocation) {
  const Globals& globals = invocation.globals;
  if (invocation.args.words().empty()) return list_all(globals);
  const std::string wanted = invocation.args.word(0);
  std::vector<std::string> names;
  for (const Code code : all_codes()) {
    const std::string name(code_name(code));
    names.push_back(name);
    if (name != wanted) continue;
    const std::string text(code_explanation(code));
    if (globals.format == Format::kName) return print_out(name + "\n");
    if (globals.format == Format::kJson || globals.format == Format::kJsonl) {
      return print_object(globals, {{"code", name}, {"explanation", text}});
    }
    const int exit = exit_of_error(code);
    const int of_run = exit_of_failure(code);
    return print_out(name + "\n\n" + text + "\n\nExit: " + std::to_string(exit) +
                     (of_run == exit ? "" : ", of rexec run " + std::to_string(of_run)) +
                     (code == Code::kTimeout ? ", 124 for --timeout" : "") + ".\n");
  }
  const std::string mean = did_you_mean(wanted, names);
  return fail_with(globals, {Code::kUnknownObject, "no code \"" + printable(wanted) + "\"",
                             (mean.empty() ? "" : mean + "\n") + "see: rexec explain"});
}

}  // namespace

constinit const Verb explain_verb{.name = "explain",
                                  .summary = "what an error's code means and what to do",
                                  .synopsis = "[CODE]",
                                  .most = 1,
                                  .run = run,
                                  .completes = "@code",
                                  .formats = kAllFormats};

}  // namespace rexec::cli
