// The start of an attempt as the shim performs it: lock, spec, meta, socket, the child, the started
// record, and only then leave to exec. Each step leaves the directory in a state that PROTOCOL.md's
// table reads rightly. Runs once and does not loop.
#pragma once

#include <optional>
#include <string>

#include "src/base/clock.hpp"
#include "src/base/error.hpp"
#include "src/job/shim/launch.hpp"
#include "src/job/spool/attempt_dir.hpp"
#include "src/os/cgroup.hpp"
#include "src/os/limits.hpp"
#include "src/os/process.hpp"

namespace rexec::job {

// What came with the spawner's message to a warm shim.
struct ShimOrder {
  os::UniqueFd directory;  // of the attempt
  os::UniqueFd plan;       // memfd of encode_launch
  os::UniqueFd net;        // the first connection to net, may be missing
  os::UniqueFd listener;   // `sock` of a directory that was prepared, locked already
  int jobs = -1;           // the directory above
  os::JobLimits limits;    // set already; version 1 groups are joined by the child's pid
};

struct StartedJob {
  os::Child leader;
  StartedRecord record;
  BootTime began;
  os::UniqueFd listener;
  os::UniqueFd report;        // non-blocking; see child.hpp
  os::UniqueFd out, err, in;  // our ends, non-blocking; with a terminal out and in are its master
  os::UniqueFd terminal;      // and so is this
};

// kConflict: somebody else has the attempt (or had it before us): leave without a trace. Anything
// else: it could not be started and was not; the message says why.
Result<StartedJob> start_attempt(ShimOrder& order, const ShimPlan& plan, const LaunchParts& parts,
                                 const os::Cgroup* cgroup);

}  // namespace rexec::job
