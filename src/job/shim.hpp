// A shim: the process between the spawner and one job. It waits warm for its order, starts the
// attempt, supervises it and exits with the record on disk. It outlives net and spawner and depends
// on neither.
#pragma once

#include <optional>
#include <string>

#include "src/base/error.hpp"
#include "src/os/cgroup.hpp"
#include "src/os/fd.hpp"
#include "src/os/process.hpp"

namespace rexec::job {

// A warm shim as the spawner holds it.
struct WarmShim {
  os::Child process;
  os::UniqueFd control;  // the order goes in; a reason comes out if it could not start the attempt
};

// Forks one. `cgroups`: where it makes the job's cgroup; none: it does without.
Result<WarmShim> fork_shim(const std::optional<os::CgroupRoot>& cgroups);

// Removes the empty cgroups of shims that were killed. The tree may be shared with other agents.
void sweep_cgroups(const os::CgroupRoot& cgroups);

// The order. `net` < 0: nobody is connected yet.
Result<void> order_shim(const WarmShim& shim, int attempt_directory, int plan_memfd, int net);

// Exit statuses of a shim that wrote no record.
inline constexpr int kShimConflict = 3;     // somebody else has the attempt
inline constexpr int kShimCannotStart = 4;  // the reason is on `control`

}  // namespace rexec::job
