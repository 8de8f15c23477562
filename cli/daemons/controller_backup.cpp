#include "cli/daemons/controller_backup.hpp"

#include <filesystem>

#include "cli/daemons/data_dir.hpp"
#include "cli/line/errors.hpp"
#include "cli/line/listing.hpp"
#include "src/base/text.hpp"
#include "src/controller/server/backup.hpp"

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

std::string names_in(const wire::Map& done, const char* key) {
  std::string names;
  for (const wire::Map& name : wire::child_or_empty(done, key))
    if (name.is_string()) names += (names.empty() ? "" : ", ") + printable(name.get<std::string>());
  return names;
}

// What holds again, and what cannot be known: a copy is as old as it is.
void tell_recovery(const Globals& globals, const wire::Map& done) {
  const auto tell = [&](const char* key, const std::string& words) {
    if (const std::string names = names_in(done, key); !names.empty())
      print_notice(globals, words + ": " + names);
  };
  if (const auto tokens = wire::u64_or(done, "tokens_voided", 0); tokens > 0)
    print_notice(globals, "unspent tokens of before are void, " + std::to_string(tokens) +
                              " of them; make new ones: rexec token new");
  tell("users_revoked", "revoked again, as in the former database");
  tell("nodes_removed", "nodes removed again, as in the former database");
  tell("users_kept", "NOT revoked again, because nobody else is an admin");
  tell("users_unknown", "not known yet when the copy was taken, they sign in again");
  tell("nodes_unknown", "nodes not known yet when the copy was taken, they join again");
  tell("schedules_back", "schedules that were dropped or paused since, and fire again");
  if (const auto jobs = wire::u64_or(done, "jobs_removed", 0); jobs > 0)
    print_notice(globals, "jobs removed again: " + std::to_string(jobs));
  if (wire::bool_or(done, "former_read", false)) return;
  if (const std::string why = wire::text_or(done, "former_error"); !why.empty())
    print_notice(globals, "the former database cannot be read: " + printable(why));
  print_notice(globals, "who was revoked and which node was removed after " +
                            wire::text_or(done, "since", "the copy was taken") +
                            " is not known here: look at rexec user ls and rexec node ls, and do "
                            "it again: rexec user revoke, rexec node rm");
}

int restore(const Invocation& invocation) {
  const Globals& globals = invocation.globals;
  const Result<std::string> data = data_dir(invocation.args, Daemon::kController);
  if (!data) return fail_with(globals, data.error());
  const Result<std::string> file = file_named(invocation, "restore");
  if (!file) return fail_with(globals, file.error());
  const Result<wire::Map> done = controller::restore(*data, *file);
  if (!done) return fail_with(globals, done.error());
  tell_recovery(globals, *done);
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
        "nothing is changed when it is damaged. The former database is kept beside the new one.\n"
        "Unspent tokens of before are void. Who was revoked since, the former database says, and\n"
        "it is done again; without one it is not known, and restore says since when."};

}  // namespace rexec::cli
