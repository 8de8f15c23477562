// The controller's data directory: configuration, CA, own certificate. Made by init, read by serve.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/net/tls.hpp"
#include "src/pki/authority.hpp"

namespace rexec::controller {

struct ServerConfig {
  std::string cluster;
  std::string listen;                              // HOST:PORT
  std::vector<std::string> addresses;              // what tokens tell others to dial
  Millis keep_jobs = std::chrono::hours(30 * 24);  // how long ended jobs are listed
  // What the ended jobs of one user may take of the disk; none: see ended_limits().
  std::optional<std::uint64_t> keep_bytes;
};
Result<ServerConfig> load_server_config(const std::string& data_dir);
Result<void> save_server_config(const std::string& data_dir, const ServerConfig& config);
// The controller's own key and certificate, issued anew when missing or past half of its life.
Result<net::Credentials> own_credentials(const std::string& data_dir,
                                         const pki::Authority& authority);
// A port on `host` that nobody listens on, below the ephemeral range so that no outgoing connection
// takes it later.
Result<std::uint16_t> free_port(const std::string& host);

}  // namespace rexec::controller
