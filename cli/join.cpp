// `rexec join`: makes this machine a node. Spends a node's token, writes the agent's identity, and
// with systemd starts the agent. Safe to repeat: the key stays until the identity is written.
#include <unistd.h>

#include <cstdlib>

#include "cli/data_dir.hpp"
#include "cli/errors.hpp"
#include "cli/labels.hpp"
#include "cli/listing.hpp"
#include "cli/systemd.hpp"
#include "cli/token_input.hpp"
#include "src/agent/agent.hpp"
#include "src/base/file.hpp"
#include "src/base/text.hpp"
#include "src/client/enrol.hpp"
#include "src/os/users.hpp"
#include "src/pki/certificate.hpp"

namespace rexec::cli {
namespace {

// The user behind sudo, else the one who joins.
std::string default_run_as() {
  const char* sudo = std::getenv("SUDO_USER");
  if (::geteuid() == 0 && sudo != nullptr && *sudo != '\0') return sudo;
  const auto user = os::find_user({}, ::geteuid());
  return user && *user ? (*user)->name : std::string();  // the agent's own user
}

// True when the directory's node was admitted by the very authority that the token names.
bool is_of_same_cluster(const std::string& data, const pki::JoinToken& token) {
  const auto credentials = agent::load_net_credentials(data);
  if (!credentials) return false;
  const auto ca = pki::parse_certificate(credentials->ca);
  return ca && pki::check_pin(ca->get(), token.ca_pin);
}

// An identity that is there already: nothing when there is none, else what join comes to.
std::optional<Result<std::string>> existing(const std::string& data, const TokenInput& input) {
  const auto config = agent::load_config(data);
  if (!config) return std::nullopt;
  if (is_of_same_cluster(data, input.token)) return Result<std::string>(config->name);
  return Result<std::string>(fail(Code::kConflict,
                                  data + " already belongs to node \"" + printable(config->name) +
                                      "\" of cluster " + printable(config->cluster),
                                  "choose another --data, or remove the directory first"));
}

Result<client::EnrolOptions> read_options(const Args& args, const TokenInput& input,
                                          const std::string& data) {
  const Result<std::map<std::string, std::string>> labels = parse_labels(args.values("label"));
  if (!labels) return std::unexpected(labels.error());
  client::EnrolOptions options;
  options.token = input.text;
  options.labels = *labels;
  options.name = args.value("name");
  options.run_as = args.value("run-as", default_run_as());
  options.key_file = data + "/join.der";
  const Result<void> made = make_directories(data, 0700);
  if (!made) return std::unexpected(made.error());
  return options;
}

Result<client::Enrolment> enrol_and_save(const client::EnrolOptions& options, const Args& args,
                                         const std::string& data) {
  Result<client::Enrolment> enrolled = client::enrol(options);
  if (!enrolled) return enrolled;
  agent::AgentConfig config;
  config.node_id = enrolled->id;
  config.name = enrolled->name;
  config.cluster = enrolled->cluster;
  config.addresses = enrolled->addresses;
  config.run_as = options.run_as;
  config.allow_users = args.values("allow-user");
  const Result<void> saved = agent::save_identity(data, config, enrolled->credentials);
  if (!saved) return std::unexpected(saved.error());
  ::unlink(options.key_file.c_str());
  return enrolled;
}

int start(const Invocation& invocation, const std::string& data) {
  const bool may_start = ::geteuid() == 0 && has_systemd() && !invocation.args.has("no-start");
  if (!may_start) {
    print_notice(invocation.globals, "start the agent: rexec agent run --data " + data);
    return 0;
  }
  const Result<void> started = start_agent_unit(data);
  if (started) return 0;
  return fail_with(invocation.globals, started.error());
}

int run(const Invocation& invocation) {
  const Globals& globals = invocation.globals;
  const Result<TokenInput> input = read_token(invocation.args, pki::TokenKind::kNode);
  if (!input) return fail_with(globals, input.error());
  const Result<std::string> data = data_dir(invocation.args, Daemon::kAgent);
  if (!data) return fail_with(globals, data.error());
  if (const auto node = existing(*data, *input)) {
    if (!*node) return fail_with(globals, node->error());
    print_notice(globals, *data + " is node " + printable(**node) + " of that controller already");
    return start(invocation, *data);
  }
  const Result<client::EnrolOptions> options = read_options(invocation.args, *input, *data);
  if (!options) return fail_with(globals, options.error());
  const Result<client::Enrolment> enrolled = enrol_and_save(*options, invocation.args, *data);
  if (!enrolled) return fail_with(globals, enrolled.error());
  if (globals.format == Format::kJson || globals.format == Format::kJsonl) {
    print_object(globals, {{"node", enrolled->name},
                           {"id", enrolled->id},
                           {"cluster", enrolled->cluster},
                           {"data", *data},
                           {"run_as", options->run_as}});
  } else {
    print_notice(globals, "this machine is node " + printable(enrolled->name) + " of " +
                              printable(enrolled->cluster) + "; jobs run as " +
                              (options->run_as.empty() ? "you" : options->run_as));
  }
  if (options->run_as == "root") {
    print_notice(globals, "jobs run as root on this machine; --run-as USER at join changes that");
  }
  return start(invocation, *data);
}

constexpr Flag kFlags[] = {
    kDataFlag,
    {.name = "name", .value = "NAME", .help = "the node's name, when the token leaves it open"},
    {.name = "label", .value = "K=V", .help = "a label, within what the token allows; repeatable"},
    {.name = "run-as",
     .value = "USER",
     .help = "whom jobs run as (default: the user behind sudo, else you)"},
    {.name = "allow-user",
     .value = "USER",
     .help = "another user that jobs may ask for; repeatable"},
    {.name = "no-start", .help = "do not start the agent"},
};

}  // namespace

constinit const Verb join_verb{
    .name = "join",
    .summary = "make this machine a node, with a token",
    .synopsis = "[flags] [TOKEN]",
    .flags = kFlags,
    .most = 1,
    .run = run,
    .details =
        "The token is the word rx1_…, - for stdin, or in the file REXEC_TOKEN_FILE names. As root\n"
        "with systemd the agent is started, and join returns when it is online; otherwise join\n"
        "prints the command that starts it."};

}  // namespace rexec::cli
