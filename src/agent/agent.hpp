// The agent's outside: what cli/daemons and cli/enrol call. `run` is the spawner, above everything;
// `run_net` is the process it starts by exec, the only one that speaks to the network.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "src/base/clock.hpp"
#include "src/net/tls.hpp"
#include "src/os/users.hpp"
#include "src/wire/maps.hpp"

namespace rexec::agent {

// What `join` leaves in the data directory: agent.toml and net/{key,cert,ca}.der.
struct AgentConfig {
  std::string node_id;
  std::string name;
  std::string cluster;
  std::vector<std::string> addresses;
  std::string run_as;                     // the user of jobs; empty: whoever runs the agent
  std::vector<std::string> allow_users;   // other users that jobs may ask for
  bool keeps_privileges = false;          // jobs may ask for --privileges keep
  std::uint64_t keep_bytes = 1ULL << 30;  // of what ended jobs wrote
  // Output of a run in the foreground that it has received.
  Millis keep_read_output = std::chrono::seconds(30);

  bool names_node() const { return !node_id.empty() && !name.empty() && !addresses.empty(); }
};
// What to do with a directory that is another node's already.
enum class OtherNode { kRefuse, kReplace };
// With kRefuse, a directory that belongs to another node is a kConflict. Replacing keeps its jobs.
// As root the files of net are given to its account (os::daemon_account). agent.toml is written
// last; what it has besides an identity and the rules for users (keep_bytes and the like) stays.
Result<void> save_identity(const std::string& data_dir, const AgentConfig& config,
                           const net::Credentials& credentials,
                           OtherNode other = OtherNode::kRefuse);
// The files of net alone: who renews a certificate has no need to touch what is configured.
Result<void> save_credentials(const std::string& data_dir, const std::string& node_id,
                              const net::Credentials& credentials,
                              OtherNode other = OtherNode::kRefuse);
// `seen`, what net knows of the controller's history: in a directory that is not net's it can only
// be written where it is already, so it is made, and given to that account.
Result<void> give_note(const std::string& data_dir, const os::User& user);
// kNotSignedIn: there is no agent.toml.
Result<AgentConfig> load_config(const std::string& data_dir);
// The same, also where no node is named.
Result<AgentConfig> load_settings(const std::string& data_dir);
Result<net::Credentials> load_net_credentials(const std::string& data_dir);

struct RunOptions {
  std::string data_dir;
  int ready_fd = -1;
  bool json_log = false;
  bool stop_jobs = false;
};
// Until TERM or INT; the exit status.
int run(const RunOptions& options);

struct NetOptions {
  std::string data_dir;
  int ready_fd = -1;
  bool json_log = false;
};
// `rexec agent-net`, started by the spawner with the socket at job::kNetSpawnerFd.
int run_net(const NetOptions& options);

// {running, pid, node, …} from the directory alone.
Result<wire::Map> local_status(const std::string& data_dir);

}  // namespace rexec::agent
