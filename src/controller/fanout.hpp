// From one submit to its jobs: resolves the target, makes or finds a job for each node, stores what
// must be stored first, dispatches. A repeated request finds its jobs again, whatever crashed in
// between, because ids come from the request.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "src/controller/hub.hpp"

namespace rexec::controller {

struct Submit {
  UserId owner;
  std::string owner_name;
  std::string request;  // hex
  std::string targets;
  std::string spec;
  bool is_detached = false;
  bool is_keyed = false;  // the request is a key that somebody chose
};

struct Accepted {
  RunId run;
  std::vector<std::shared_ptr<Job>> jobs;  // as the nodes; an offline node's is final already
};

// `done` is called at once for a new attached submit, after the commit for a detached one. A
// request that was made before is looked up in the store first.
using Done = std::move_only_function<void(Result<Accepted>)>;
void fan_out(Hub& hub, Submit submit, Done done);

}  // namespace rexec::controller
