// What a process that speaks to the network may ask of the kernel once it is up: a list of the
// system calls that it needs, as a seccomp filter. Whoever takes such a process over can neither
// start a program, nor become another, nor look into one, nor load code.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <vector>

namespace rexec::os {

enum class Confined { kYes, kUnavailable };

// For all threads and for ever; no_new_privs must be set. What is not listed fails with EPERM and
// the process lives on: a call that a C library tries first must not end a daemon. clone3 fails
// with ENOSYS, so that the library takes clone, whose flags a filter can see: threads pass,
// processes do not. kUnavailable: a kernel without it, an emulator, an unknown processor, a
// sanitizer.
Confined confine_to_network();
// Whether this kernel would take a filter. For `doctor`.
bool can_confine();

// The program itself; empty for a processor it was not written for. `own_pid` is the only process
// that may be signalled.
std::vector<sock_filter> network_filter(std::uint32_t own_pid);

}  // namespace rexec::os
