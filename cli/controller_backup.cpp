#include "cli/controller_backup.hpp"

#include <filesystem>

#include "cli/data_dir.hpp"
#include "cli/errors.hpp"
#include "cli/listing.hpp"
#include "src/base/text.hpp"
#include "src/controller/backup.hpp"

namespace rexec::cli {
namespace {

bool is_json(const Globals& globals) {
  return globals.format == Format::kJson || globals.format == Format::kJsonl;
}

// A controller that runs writes the file itself: it has no pipe of ours to write to.
Result<std::string> file_named(const Invocation& invocation, const std::string& verb) {
  const std::string word = invocation.args.word(0);
  if (word == "-")
    return fail(Code::kUsage,
                "\"-\" is no file: a backup is neither written to a pipe nor read from one",
                "name a file: rexec controller " + verb + " FILE (./- for one called \"-\")");
  if (word.empty())
    return fail(Code::kUsage, "the name of the file is empty",
                "name a file: rexec controller " + verb + " FILE");
  return std::filesystem::absolute(word).string();
}

int backup(const Invocation& invocation) {
  const Globals& globals = invocation.globals;
  const Result<std::string> data = data_dir(invocation.args, Daemon::kController);
  if (!data) return fail_with(globals, data.error());
  const Result<std::string> file = file_named(invocation, "backup");
  if (!file) return fail_with(globals, file.error());
  const Result<wire::Map> made = controller::backup(*data, *file);
  if (!made) return fail_with(globals, made.error());
  if (is_json(globals)) return print_object(globals, *made);
  print_notice(globals, "it holds the cluster's private keys: guard it as you guard those");
  return print_out(printable(*file) + "\n");
}

int restore(const Invocation& invocation) {
  const Globals& globals = invocation.globals;
  const Result<std::string> data = data_dir(invocation.args, Daemon::kController);
  if (!data) return fail_with(globals, data.error());
  const Result<std::string> file = file_named(invocation, "restore");
  if (!file) return fail_with(globals, file.error());
  const Result<wire::Map> done = controller::restore(*data, *file);
  if (!done) return fail_with(globals, done.error());
  if (is_json(globals)) return print_object(globals, *done);
  const std::string former = wire::text_or(*done, "former");
  if (!former.empty()) print_notice(globals, "the former database is " + printable(former));
  print_notice(globals, "start it: rexec controller run --data " + shell_quoted(*data));
  return print_out("restored " + printable(*data) + "\n");
}

constexpr Flag kFlags[] = {kDataFlag};

}  // namespace

constinit const Verb controller_backup_verb{
    .name = "backup",
    .summary = "copy state and keys into one file",
    .synopsis = "[flags] FILE",
    .flags = kFlags,
    .least = 1,
    .most = 1,
    .run = backup,
    .completes = "@file",
    .details =
        "Works while the controller runs, for the user it runs as and for root. The file\n"
        "holds the cluster's private keys. An older backup of that name is replaced when the\n"
        "new one is complete, any other file is left alone."};
constinit const Verb controller_restore_verb{
    .name = "restore",
    .summary = "make a data directory from a backup",
    .synopsis = "[flags] FILE",
    .flags = kFlags,
    .least = 1,
    .most = 1,
    .run = restore,
    .completes = "@file",
    .details =
        "Not while a controller runs there. The file is checked first, to the last byte, and\n"
        "nothing is changed when it is damaged. The former database is kept beside the new one."};

}  // namespace rexec::cli
