// A shim: the process between the spawner and one job. It waits warm for its order, starts the
// attempt, supervises it and exits with the record on disk. It outlives net and spawner and depends
// on neither.
#pragma once

#include <optional>
#include <string>

#include "src/base/error.hpp"
#include "src/os/cgroup.hpp"
#include "src/os/fd.hpp"
#include "src/os/limits.hpp"
#include "src/os/process.hpp"

namespace rexec::job {

// A warm shim as the spawner holds it. While it waits it makes an attempt's directory under another
// name, lock and socket included: creating files is the slow part of a start, renaming is not.
struct WarmShim {
  os::Child process;
  std::string directory;  // its name in jobs/; there only when the shim has come so far
  os::UniqueFd control;   // the order goes in; a reason comes out if it could not start the attempt
};

// What the node has of cgroups; nothing of it is needed.
struct NodeCgroups {
  std::optional<os::CgroupRoot> root;  // where job cgroups are made
  os::LimitRoots limits;
};
NodeCgroups find_cgroups();
// Forks one.
Result<WarmShim> fork_shim(int jobs, const NodeCgroups& cgroups);

// Removes the empty cgroups of shims that were killed. The tree may be shared with other agents.
void sweep_cgroups(const NodeCgroups& cgroups);

// The order. `net` < 0: nobody is connected yet.
// `directory` < 0: its own, which the caller has renamed to the attempt's.
struct OrderFds {
  int plan = -1;
  int net = -1;
  int directory = -1;
};
Result<void> order_shim(const WarmShim& shim, OrderFds fds);
// Removes the directories of warm shims that were killed.
void sweep_warm_directories(int jobs);

// Exit statuses of a shim that wrote no record.
inline constexpr int kShimConflict = 3;     // somebody else has the attempt
inline constexpr int kShimCannotStart = 4;  // the reason is on `control`

}  // namespace rexec::job
