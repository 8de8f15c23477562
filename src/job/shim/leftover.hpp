// What `--children leave` leaves behind may still write to the job's output, which nobody keeps any
// more. A process of its own reads it and throws it away until the last writer is gone: without a
// reader the first word would end who was to live on. Started by the shim as it leaves.
#pragma once

#include <vector>

#include "src/os/fd.hpp"

namespace rexec::job {

// Read ends, non-blocking. Nothing happens when there are none, or when a process cannot be had.
void read_what_is_left(std::vector<os::UniqueFd> ends);

}  // namespace rexec::job
