// The controller's outside: what cli/daemons/controller calls. Setting up a data directory,
// running on it, asking about it locally.
#pragma once

#include <string>
#include <vector>

#include "src/base/error.hpp"
#include "src/wire/maps.hpp"

namespace rexec::controller {

struct InitOptions {
  std::string data_dir;
  std::string listen =
      "0.0.0.0:7443";  // HOST:0 picks a free port below the ephemeral range and keeps it
  std::vector<std::string>
      advertise;                // HOST:PORT that nodes and people dial; empty: derived from listen
  std::string cluster;          // empty: "rexec-" and a few characters
  std::string admin = "admin";  // the first user
};
struct InitResult {
  std::string cluster;
  std::string listen;
  std::vector<std::string> addresses;
  std::string ca;  // DER
  std::string admin_id;
  std::string admin_certificate;  // DER, issued locally at init
  std::string admin_key;          // DER (PKCS#8)
  std::string node_token;         // rx1_…: the one line to paste on a first node
};
// Makes the directory (0700), CA, controller certificate, store, first admin. kConflict when it is
// one already.
Result<InitResult> init(const InitOptions& options);

struct ServeOptions {
  std::string data_dir;
  int ready_fd = -1;
  bool json_log = false;
};
// Runs until TERM or INT. One line on ready_fd when it listens. An error was logged already.
Result<void> serve(const ServeOptions& options);

// {running, pid, listen, cluster, …} from the directory alone, without a network.
Result<wire::Map> local_status(const std::string& data_dir);

}  // namespace rexec::controller
