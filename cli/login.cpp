// `rexec login`: spends a person's token and writes a context. Safe to repeat: until the context
// is written the same key is used for the same token.
#include <unistd.h>

#include "cli/errors.hpp"
#include "cli/listing.hpp"
#include "cli/sign_in.hpp"
#include "cli/token_input.hpp"
#include "src/base/text.hpp"
#include "src/client/enrol.hpp"

namespace rexec::cli {
namespace {

// A context of that name for the same cluster is replaced; another cluster's is not.
Result<std::string> choose_name(const Globals& globals, const std::string& cluster) {
  const std::string name = globals.context.empty() ? cluster : globals.context;
  const Result<client::ContextFile> file = load_contexts(globals);
  if (!file) return std::unexpected(file.error());
  for (const client::ContextEntry& entry : file->all()) {
    if (entry.name != name || entry.cluster == cluster) continue;
    return fail(
        Code::kConflict,
        "context \"" + name + "\" is for another controller (" + printable(entry.cluster) + ")",
        "choose another name: rexec login --context NAME rx1_…");
  }
  return name;
}

int run(const Invocation& invocation) {
  const Globals& globals = invocation.globals;
  const Result<TokenInput> input = read_token(invocation.args, pki::TokenKind::kUser);
  if (!input) return fail_with(globals, input.error());
  const Result<client::Paths> paths = client::find_paths(globals.config);
  if (!paths) return fail_with(globals, paths.error());
  client::EnrolOptions options;
  options.token = input->text;
  options.name = invocation.args.value("name");
  options.key_file = paths->data_dir + "/login/" + input->token.id + ".der";
  const Result<client::Enrolment> enrolled = client::enrol(options);
  if (!enrolled) return fail_with(globals, enrolled.error());
  const Result<std::string> name = choose_name(globals, enrolled->cluster);
  if (!name) return fail_with(globals, name.error());
  const Result<void> signed_in =
      sign_in(globals, {*name, enrolled->addresses, enrolled->cluster, enrolled->name},
              enrolled->credentials);
  if (!signed_in) return fail_with(globals, signed_in.error());
  ::unlink(options.key_file.c_str());
  if (globals.format == Format::kJson || globals.format == Format::kJsonl) {
    return print_object(globals, {{"context", *name},
                                  {"cluster", enrolled->cluster},
                                  {"user", enrolled->name},
                                  {"id", enrolled->id}});
  }
  print_notice(globals, "signed in to " + printable(enrolled->cluster) + " as " +
                            printable(enrolled->name) + "; the context is \"" + *name + "\"");
  return 0;
}

constexpr Flag kFlags[] = {
    {.name = "name", .value = "NAME", .help = "the user's name, when the token leaves it open"},
};

}  // namespace

constinit const Verb login_verb{
    .name = "login",
    .summary = "sign in with a token",
    .synopsis = "[flags] [TOKEN]",
    .flags = kFlags,
    .most = 1,
    .run = run,
    .details =
        "The token is the word rx1_…, - for stdin, or in the file REXEC_TOKEN_FILE names. The\n"
        "context is called as the cluster unless --context NAME says otherwise."};

}  // namespace rexec::cli
