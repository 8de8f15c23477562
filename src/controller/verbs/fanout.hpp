// From one submit to its jobs: makes or finds a job for each node of each part, stores what must be
// stored first, and starts what may start. A repeated request finds its jobs again, whatever
// crashed in between, because ids come from the request.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "src/controller/verbs/submit.hpp"

namespace rexec::controller {

struct Accepted {
  RunId run;
  std::vector<std::shared_ptr<Job>> jobs;  // as the parts and their nodes
  std::vector<std::string> names;          // of the parts, one for each job
};

// `done` is called at once for a new attached submit that starts at once, after the commit for any
// other. A request that was made before is looked up in the store first. All jobs are made, or
// none.
using Done = std::move_only_function<void(Result<Accepted>)>;
void fan_out(Hub& hub, Submit submit, Done done);

}  // namespace rexec::controller
