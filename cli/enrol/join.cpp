// `rexec join`: makes this machine a node. Spends a node's token, writes the agent's identity, and
// with systemd starts the agent. Safe to repeat: the key stays until the identity is written, and
// a directory whose certificate the controller still takes is left as it is.
#include <unistd.h>

#include <cstdlib>

#include "cli/daemons/data_dir.hpp"
#include "cli/daemons/systemd.hpp"
#include "cli/enrol/host_name.hpp"
#include "cli/enrol/labels.hpp"
#include "cli/enrol/token_input.hpp"
#include "cli/line/errors.hpp"
#include "cli/line/listing.hpp"
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

// What an earlier join left in the directory.
struct Existing {
  bool is_there = false;
  std::optional<agent::AgentConfig> settings;
  std::string certificate;  // empty when it cannot be used, whatever the controller thinks of it
};

// The certificate with which its agent would start: of the node in agent.toml, with its key.
std::string usable_certificate(const agent::AgentConfig& config,
                               const net::Credentials& credentials) {
  const auto leaf = pki::parse_certificate(credentials.certificate);
  const auto identity = leaf ? pki::parse_identity(leaf->get()) : std::unexpected(leaf.error());
  const bool fits = identity && identity->id == config.node_id;
  return fits && net::TlsContext::client(credentials) ? credentials.certificate : std::string();
}

// kConflict for a node of another cluster than the token's.
Result<Existing> read_existing(const std::string& data, const pki::JoinToken& token) {
  const auto config = agent::load_settings(data);
  // What somebody wrote there is to be mended, not to be lost.
  if (!config && config.error().code != Code::kNotSignedIn) return std::unexpected(config.error());
  if (!config) return Existing{};
  if (!config->names_node()) return Existing{false, *config, {}};
  const auto credentials = agent::load_net_credentials(data);
  if (!credentials && credentials.error().code == Code::kKeyExposed)
    return std::unexpected(credentials.error());
  const Result<std::string> ca_text = read_file(data + "/net/ca.der");
  const auto ca = pki::parse_certificate(ca_text ? *ca_text : std::string());
  if (!ca || !pki::check_pin(ca->get(), token.ca_pin)) {
    return fail(Code::kConflict,
                data + " already belongs to node \"" + printable(config->name) + "\" of cluster " +
                    printable(config->cluster),
                "choose another --data, or remove the directory first");
  }
  return Existing{true, *config,
                  credentials ? usable_certificate(*config, *credentials) : std::string()};
}

Result<client::EnrolOptions> read_options(const Args& args, const TokenInput& input,
                                          const std::string& data, const Existing& existing) {
  const Result<std::map<std::string, std::string>> labels = parse_labels(args.values("label"));
  if (!labels) return std::unexpected(labels.error());
  client::EnrolOptions options;
  options.token = input.text;
  options.labels = *labels;
  options.name = args.value("name");
  if (args.has("name") && options.name.empty()) return fail(Code::kUsage, "--name: an empty name");
  options.host = host_as_name();
  options.run_as =
      args.value("run-as", existing.settings ? existing.settings->run_as : default_run_as());
  options.key_file = data + "/join.der";
  const Result<void> made = make_directories(data, 0700);
  if (!made) return std::unexpected(made.error());
  return options;
}

// After a refusal no later try needs the key, nor a directory that holds nothing else. Where nobody
// answered, the token may have been spent on it.
void forget_try(const client::EnrolOptions& options, const std::string& data, Code code) {
  const bool may_be_spent = code == Code::kControllerDown || code == Code::kLinkLost ||
                            code == Code::kTimeout || code == Code::kIo;
  if (may_be_spent) return;
  ::unlink(options.key_file.c_str());
  ::rmdir(data.c_str());
}

Result<client::Enrolment> enrol_and_save(const client::EnrolOptions& options, const Args& args,
                                         const std::string& data, const Existing& existing) {
  Result<client::Enrolment> enrolled = client::enrol(options);
  if (!enrolled) {
    forget_try(options, data, enrolled.error().code);
    return enrolled;
  }
  if (enrolled->outcome == client::Enrolment::Outcome::kAlready) {
    ::unlink(options.key_file.c_str());
    return enrolled;
  }
  agent::AgentConfig config = existing.settings.value_or(agent::AgentConfig{});
  config.node_id = enrolled->id;
  config.name = enrolled->name;
  config.cluster = enrolled->cluster;
  config.addresses = enrolled->addresses;
  config.run_as = options.run_as;
  if (args.has("allow-user")) config.allow_users = args.values("allow-user");
  const Result<std::string> privileges =
      args.choice("privileges", "drop|keep", config.keeps_privileges ? "keep" : "drop");
  if (!privileges) return std::unexpected(privileges.error());
  config.keeps_privileges = *privileges == "keep";
  // The controller does not know the node that this directory was: it becomes the new one.
  const auto other = existing.is_there ? agent::OtherNode::kReplace : agent::OtherNode::kRefuse;
  const Result<void> saved = agent::save_identity(data, config, enrolled->credentials, other);
  if (!saved) return std::unexpected(saved.error());
  ::unlink(options.key_file.c_str());
  return enrolled;
}

int start(const Invocation& invocation, const std::string& data) {
  const bool may_start = ::geteuid() == 0 && has_systemd() && !invocation.args.has("no-start");
  if (!may_start) {
    print_notice(invocation.globals,
                 "start the agent: rexec agent run --data " + shell_quoted(data));
    return 0;
  }
  const Result<void> started = start_agent_unit(data);
  if (started) return 0;
  return fail_with(invocation.globals, started.error());
}

int tell(const Globals& globals, const client::Enrolment& node, const std::string& data,
         const std::string& run_as) {
  const bool is_new = node.outcome == client::Enrolment::Outcome::kEnrolled;
  if (globals.format == Format::kJson || globals.format == Format::kJsonl) {
    wire::Map object{{"node", node.name},
                     {"id", node.id},
                     {"cluster", node.cluster},
                     {"data", data},
                     {"already", !is_new}};
    if (is_new) object["run_as"] = run_as;
    return print_object(globals, object);
  }
  if (!is_new) {
    print_notice(globals,
                 data + " is node " + printable(node.name) + " of that controller already");
    return 0;
  }
  print_notice(globals, "this machine is node " + printable(node.name) + " of " +
                            printable(node.cluster) + "; jobs run as " +
                            (run_as.empty() ? "you" : run_as));
  return 0;
}

int run(const Invocation& invocation) {
  const Globals& globals = invocation.globals;
  const Result<TokenInput> input = read_token(invocation.args, pki::TokenKind::kNode);
  if (!input) return fail_with(globals, input.error());
  const Result<std::string> data = data_dir(invocation.args, Daemon::kAgent);
  if (!data) return fail_with(globals, data.error());
  const Result<Existing> existing = read_existing(*data, input->token);
  if (!existing) return fail_with(globals, existing.error());
  Result<client::EnrolOptions> options = read_options(invocation.args, *input, *data, *existing);
  if (!options) return fail_with(globals, options.error());
  options->certificate = existing->certificate;
  const Result<client::Enrolment> enrolled =
      enrol_and_save(*options, invocation.args, *data, *existing);
  if (!enrolled) return fail_with(globals, enrolled.error());
  tell(globals, *enrolled, *data, options->run_as);
  if (enrolled->outcome == client::Enrolment::Outcome::kEnrolled && options->run_as == "root") {
    print_notice(globals, "jobs run as root on this machine; --run-as USER at join changes that");
  }
  return start(invocation, *data);
}

constexpr Flag kFlags[] = {
    kDataFlag,
    kTokenFileFlag,
    {.name = "name",
     .value = "NAME",
     .help = "the node's name, when the token leaves it open (default: the host's)"},
    {.name = "label",
     .value = "K=V",
     .help = "a label, within what the token allows; repeatable",
     .often = Often::kRepeated},
    {.name = "run-as",
     .value = "USER",
     .help = "whom jobs run as (default: the user behind sudo, else you)"},
    {.name = "allow-user",
     .value = "USER",
     .help = "another user that jobs may ask for; repeatable",
     .often = Often::kRepeated},
    {.name = "privileges",
     .value = "HOW",
     .help = "keep: jobs may ask for --privileges keep (default drop)",
     .choices = "drop|keep"},
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
        "The token is the word rx1_…, - for stdin, or in the file that --token-file or\n"
        "REXEC_TOKEN_FILE names; the word is hidden from ps at once, not from a shell's history.\n"
        "As root with systemd the agent is started, and join returns when it is online; otherwise "
        "join\n"
        "prints the command that starts it. A directory that is a node already stays as it is "
        "while\n"
        "the controller takes its certificate, and is enrolled anew when that node was removed."};

}  // namespace rexec::cli
