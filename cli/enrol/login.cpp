// `rexec login`: spends a person's token and writes a context. Safe to repeat: the same key is used
// for the same token, a pending one until the context is written, then the context's own.
#include <unistd.h>

#include "cli/enrol/token_input.hpp"
#include "cli/line/errors.hpp"
#include "cli/line/listing.hpp"
#include "cli/line/sign_in.hpp"
#include "src/base/file.hpp"
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

// Beside a context's key: the id of the token that it was spent on.
constexpr const char* kTokenFile = "/token";

std::string pending_key(const client::Paths& paths, const std::string& token) {
  return paths.data_dir + "/login/" + token + ".der";
}

// The key that goes with the token: the controller gives the same certificate for it again.
std::string key_file(const client::ContextFile& contexts, const std::string& token) {
  for (const client::ContextEntry& entry : contexts.all()) {
    const std::string directory = contexts.directory(entry.name);
    const Result<std::string> spent = read_file(directory + kTokenFile);
    if (spent && *spent == token) return directory + "/key.der";
  }
  return pending_key(contexts.paths(), token);
}

Result<client::Enrolment> enrol_person(const Invocation& invocation, const TokenInput& input,
                                       const client::ContextFile& contexts) {
  client::EnrolOptions options;
  options.token = input.text;
  options.name = invocation.args.value("name");
  options.key_file = key_file(contexts, input.token.id);
  Result<client::Enrolment> enrolled = client::enrol(options);
  // No later try can succeed with it.
  if (!enrolled && enrolled.error().code == Code::kTokenSpent)
    ::unlink(pending_key(contexts.paths(), input.token.id).c_str());
  return enrolled;
}

// The context, then what makes another login with the token safe without the pending key.
Result<void> keep(const Globals& globals, const client::ContextFile& contexts,
                  const std::string& name, const client::Enrolment& person,
                  const std::string& token) {
  const Result<void> signed_in =
      sign_in(globals, {name, person.addresses, person.cluster, person.name}, person.credentials);
  if (!signed_in) return signed_in;
  const Result<void> noted = write_file(contexts.directory(name) + kTokenFile, token, 0600);
  if (noted) ::unlink(pending_key(contexts.paths(), token).c_str());
  return noted;
}

int run(const Invocation& invocation) {
  const Globals& globals = invocation.globals;
  const Result<TokenInput> input = read_token(invocation.args, pki::TokenKind::kUser);
  if (!input) return fail_with(globals, input.error());
  const Result<client::ContextFile> contexts = load_contexts(globals);
  if (!contexts) return fail_with(globals, contexts.error());
  const Result<client::Enrolment> enrolled = enrol_person(invocation, *input, *contexts);
  if (!enrolled) return fail_with(globals, enrolled.error());
  const Result<std::string> name = choose_name(globals, enrolled->cluster);
  if (!name) return fail_with(globals, name.error());
  const Result<void> kept = keep(globals, *contexts, *name, *enrolled, input->token.id);
  if (!kept) return fail_with(globals, kept.error());
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
    kTokenFileFlag,
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
        "The token is the word rx1_…, - for stdin, or in the file that --token-file or\n"
        "REXEC_TOKEN_FILE names; the word is hidden from ps at once, not from a shell's history.\n"
        "The context is called as the cluster unless --context NAME says otherwise. The same token "
        "again,\n"
        "on the same machine while it is valid, signs in with the same key."};

}  // namespace rexec::cli
