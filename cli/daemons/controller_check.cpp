// `rexec controller check`: which nodes say that the controller's database is old, and why.
#include "cli/daemons/controller_backup.hpp"
#include "cli/daemons/data_dir.hpp"
#include "cli/line/errors.hpp"
#include "cli/line/listing.hpp"
#include "src/controller/server/check.hpp"

namespace rexec::cli {
namespace {

int accept(const Globals& globals, const std::string& data) {
  const Result<wire::Map> done = controller::accept_old_database(data);
  if (!done) return fail_with(globals, done.error());
  if (globals.format == Format::kJson || globals.format == Format::kJsonl)
    return print_object(globals, *done);
  return print_out("accepted " + std::to_string(wire::u64_or(*done, "accepted", 0)) + "\n");
}

int run(const Invocation& invocation) {
  const Globals& globals = invocation.globals;
  const Result<std::string> data = data_dir(invocation.args, Daemon::kController);
  if (!data) return fail_with(globals, data.error());
  if (invocation.args.has("accept")) return accept(globals, *data);
  const Result<wire::Map> found = controller::check(*data);
  if (!found) return fail_with(globals, found.error());
  const wire::Map& nodes = wire::child_or_empty(*found, "old_database");
  Listing listing;
  listing.headings = {{"NODE"}, {"LAST"}, {"TIMES"}, {"WHY"}};
  listing.nothing = "no node saw more of this controller's database than it has";
  for (const wire::Map& one : nodes)
    listing.add({cell(one, "node"), cell(one, "at"), cell(one, "count"), cell(one, "why")},
                wire::text_or(one, "node"), wire::Map(one));
  const int printed = print_listing(globals, listing);
  if (printed != 0 || nodes.empty()) return printed;
  print_notice(globals,
               "was a backup restored, or the database exchanged? When all is as it should "
               "be: rexec controller check --accept");
  return 1;
}

constexpr Flag kFlags[] = {
    kDataFlag,
    {.name = "accept", .help = "what the nodes say is known: say it no more"},
};

}  // namespace

constinit const Verb controller_check_verb{
    .name = "check",
    .summary = "which nodes say that the database is old",
    .synopsis = "[flags]",
    .flags = kFlags,
    .run = run,
    .details =
        "Exit 0 when none does, 1 when some do. Asks the controller that runs on this machine."};

}  // namespace rexec::cli
