// The agent's data directory: agent.toml for the spawner and net, net/ with the credentials that
// only net needs. As root the latter belong to the user `rexec`, so that the process which speaks
// to the network can read nothing else.
#include "src/base/config.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "src/agent/agent.hpp"
#include "src/base/file.hpp"
#include "src/base/text.hpp"
#include "src/os/fd.hpp"
#include "src/os/privilege.hpp"

namespace rexec::agent {
namespace {

// What joining decides, and what a person writes besides.
constexpr std::array<std::string_view, 7> kJoined{
    "node_id", "name", "cluster", "addresses", "run_as", "allow_users", "privileges"};
constexpr std::array<std::string_view, 2> kBesides{"keep_bytes", "keep_read_output"};

std::vector<std::string> all_keys() {
  std::vector<std::string> keys(kJoined.begin(), kJoined.end());
  keys.insert(keys.end(), kBesides.begin(), kBesides.end());
  return keys;
}

std::string joined_toml(const AgentConfig& config) {
  return "# written by rexec join; see rexec-agent(1)\nnode_id = " + toml_quote(config.node_id) +
         "\nname = " + toml_quote(config.name) + "\ncluster = " + toml_quote(config.cluster) +
         "\naddresses = " + toml_value(config.addresses) +
         "\n# jobs run as this user; others only if they are listed (\"*\" is any person: "
         "root,\n# system accounts and rexec must be named)\nrun_as = " +
         toml_quote(config.run_as) + "\nallow_users = " + toml_value(config.allow_users) +
         "\n# with \"keep\" a job of the agent's own user may ask for --privileges keep: sudo and "
         "other\n# setuid programs then work in it\n" +
         (config.keeps_privileges ? "" : "# ") + "privileges = \"keep\"\n";
}

// Of the file that is there, the lines of everything that joining does not decide.
std::string besides_toml(const std::string& path) {
  const auto map = read_config(path);
  std::string out;
  if (!map) return out;
  for (const auto& [key, entry] : *map)
    if (std::ranges::find(kBesides, key) != kBesides.end())
      out += key + " = " + toml_value(entry.value) + "\n";
  return out;
}

// Below it the node would keep next to nothing: somebody forgot the unit.
constexpr std::uint64_t kLeastKept = 1 << 20;

// What the node keeps of jobs that have ended.
Result<void> read_kept(const ConfigMap& map, const std::string& path, AgentConfig& config) {
  const auto read = duration_under(map, "keep_read_output", path);
  const auto bytes = size_under(map, "keep_bytes", path, kLeastKept);
  if (!read) return std::unexpected(read.error());
  if (!bytes) return std::unexpected(bytes.error());
  config.keep_read_output = read->value_or(config.keep_read_output);
  config.keep_bytes = bytes->value_or(config.keep_bytes);
  return {};
}

Result<void> read_privileges(const ConfigMap& map, const std::string& path, AgentConfig& config) {
  const auto text = text_under(map, "privileges", path);
  if (!text) return std::unexpected(text.error());
  if (!*text) return {};
  if (**text != "keep" && **text != "drop")
    return fail(Code::kConfig,
                path + ":" + std::to_string(map.at("privileges").line) + ": privileges is \"" +
                    printable(text->value().substr(0, 64)) +
                    "\", and neither \"keep\" nor \"drop\"",
                "write privileges = \"keep\", or leave it out: then they are dropped");
  config.keeps_privileges = **text == "keep";
  return {};
}

}  // namespace

Result<void> save_credentials(const std::string& data_dir, const std::string& node_id,
                              const net::Credentials& credentials, OtherNode other) {
  const auto existing = load_config(data_dir);
  if (existing && other == OtherNode::kRefuse && existing->node_id != node_id)
    return fail(Code::kConflict, data_dir + " already belongs to node \"" + existing->name + "\"",
                "choose another --data, or remove the directory first");
  const std::string net_dir = data_dir + "/net";
  auto step = make_directories(data_dir, 0700);
  if (step) step = make_directories(net_dir, 0700);
  for (const auto& [name, content] :
       {std::pair{"/key.der", &credentials.key}, std::pair{"/ca.der", &credentials.ca},
        std::pair{"/cert.der", &credentials.certificate}}) {
    if (step) step = write_file(net_dir + name, *content, 0600);
  }
  if (const auto user = step ? os::daemon_account(data_dir) : std::nullopt) {
    step = os::give_directory(net_dir, *user);
    if (user->name == os::kDaemonUser) ::chmod(data_dir.c_str(), 0711);
  }
  return step;
}

Result<void> save_identity(const std::string& data_dir, const AgentConfig& config,
                           const net::Credentials& credentials, OtherNode other) {
  if (auto saved = save_credentials(data_dir, config.node_id, credentials, other); !saved)
    return saved;
  const std::string path = data_dir + "/agent.toml";
  return write_file(path, joined_toml(config) + besides_toml(path), 0644);
}

Result<void> give_note(const std::string& data_dir, const os::User& user) {
  const os::UniqueFd directory(::open(data_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const os::UniqueFd note(
      ::openat(directory.get(), "seen", O_RDONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!note || ::fchown(note.get(), user.uid, user.gid) != 0)
    return fail_errno("cannot give " + data_dir + "/seen to " + user.name, errno);
  return {};
}

Result<AgentConfig> load_settings(const std::string& data_dir) {
  const std::string path = data_dir + "/agent.toml";
  auto map = read_config(path);
  if (!map) {
    if (map.error().code == Code::kIo)
      return fail(Code::kNotSignedIn, map.error().message,
                  "join this node first: rexec join rx1_… --data " + data_dir);
    return std::unexpected(map.error());
  }
  auto keys = check_keys(*map, path, all_keys());
  if (!keys) return std::unexpected(keys.error());
  AgentConfig config;
  for (const auto& [key, into] :
       {std::pair{"node_id", &config.node_id}, std::pair{"name", &config.name},
        std::pair{"cluster", &config.cluster}, std::pair{"run_as", &config.run_as}}) {
    auto text = text_under(*map, key, path);
    if (!text) return std::unexpected(text.error());
    if (*text) *into = std::move(**text);
  }
  for (const auto& [key, into] :
       {std::pair{"addresses", &config.addresses}, std::pair{"allow_users", &config.allow_users}}) {
    auto list = list_under(*map, key, path);
    if (!list) return std::unexpected(list.error());
    if (*list) *into = std::move(**list);
  }
  if (auto read = read_privileges(*map, path, config); !read) return std::unexpected(read.error());
  if (auto kept = read_kept(*map, path, config); !kept) return std::unexpected(kept.error());
  return config;
}

Result<AgentConfig> load_config(const std::string& data_dir) {
  auto config = load_settings(data_dir);
  if (config && !config->names_node())
    return fail(Code::kConfig, data_dir + "/agent.toml: node_id, name or addresses is missing",
                "join this node again: rexec join rx1_…");
  return config;
}

Result<net::Credentials> load_net_credentials(const std::string& data_dir) {
  net::Credentials out;
  auto key = read_secret_file(data_dir + "/net/key.der");
  if (!key) return std::unexpected(key.error());
  out.key = std::move(*key);
  for (const auto& [file, into] :
       {std::pair{"/net/cert.der", &out.certificate}, std::pair{"/net/ca.der", &out.ca}}) {
    auto read = read_file(data_dir + file);
    if (!read) return std::unexpected(read.error());
    *into = std::move(*read);
  }
  return out;
}

}  // namespace rexec::agent
