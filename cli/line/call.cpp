#include "cli/line/call.hpp"

#include <unistd.h>

#include "cli/line/errors.hpp"
#include "cli/line/exit_status.hpp"
#include "cli/line/listing.hpp"
#include "src/base/text.hpp"
#include "src/client/calls.hpp"

namespace rexec::cli {

Result<wire::Map> call(const Globals& globals, const std::string& verb, wire::Map args) {
  return client::call_once({globals.config, globals.context}, verb, std::move(args));
}

Result<wire::Map> call_pages(const Globals& globals, const std::string& verb,
                             const std::string& list, wire::Map args, std::uint64_t most) {
  return client::call_pages({globals.config, globals.context}, verb, std::move(args), list, most);
}

Result<void> call_many(const Globals& globals, const std::string& verb,
                       const std::vector<wire::Map>& args, const OnAnswer& on_answer) {
  return client::call_many({globals.config, globals.context}, verb, args, on_answer);
}

int call_for_each(const Globals& globals, const std::string& verb, const std::string& key,
                  const std::vector<std::string>& objects, const std::string& done,
                  const wire::Map& more) {
  const auto describe = [&](const std::string& object, const wire::Map&) {
    return done.empty() ? std::string() : done + " " + printable(object) + "\n";
  };
  return call_for_each(globals, verb, key, objects, Describe(describe), more);
}

int call_for_each(const Globals& globals, const std::string& verb, const std::string& key,
                  const std::vector<std::string>& objects, const Describe& describe,
                  const wire::Map& more) {
  std::vector<wire::Map> asked(objects.size(), more);
  for (std::size_t i = 0; i < objects.size(); ++i) asked[i][key] = objects[i];
  const bool is_json = globals.format == Format::kJson || globals.format == Format::kJsonl;
  std::size_t failed = 0;
  int code = 0;
  const auto show = [&](std::size_t index, const Result<wire::Map>& answer) {
    if (!answer) {
      ++failed;
      code = fail_with(globals, answer.error());
    } else if (is_json) {
      print_object(globals, *answer);
    } else if (!globals.quiet) {
      print_out(describe(objects[index], *answer));
    }
  };
  const auto called = call_many(globals, verb, asked, show);
  if (!called) return fail_with(globals, called.error());
  return failed > 0 && failed < objects.size() ? kExitPartly : code;
}

int confirm(const Invocation& invocation, const std::string& question) {
  const Globals& globals = invocation.globals;
  if (globals.yes) return 0;
  const bool is_terminal = ::isatty(STDIN_FILENO) == 1 && ::isatty(STDERR_FILENO) == 1;
  if (globals.no_input || !is_terminal) {
    return fail_with(
        globals,
        {Code::kUsage,
         "rexec " + invocation.name + " asks first (" + question + "), and nobody can answer here",
         "if that is what you want, add -y: rexec " + invocation.name + " -y …"});
  }
  const std::string text = "rexec: " + question + " [y/N] ";
  static_cast<void>(!::write(STDERR_FILENO, text.data(), text.size()));
  char answer[64];
  const ssize_t n = ::read(STDIN_FILENO, answer, sizeof answer);
  return n > 0 && (answer[0] == 'y' || answer[0] == 'Y') ? 0 : 1;
}

}  // namespace rexec::cli
