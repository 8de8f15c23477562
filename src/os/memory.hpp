// Memory that a daemon needed once: given back when it comes to rest.
#pragma once

namespace rexec::os {

// Frees what the heap keeps of freed blocks, and drops this process's mappings of the program's own
// read-only pages, most of which only a start needs; what is used again is mapped again from the
// page cache by small faults. For a daemon at rest: the next work pays some 0.1 ms for it.
void return_unused_memory();

}  // namespace rexec::os
