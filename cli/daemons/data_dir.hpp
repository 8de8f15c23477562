// Where a daemon of this machine keeps its state: --data, else the place for who runs it.
#pragma once

#include "cli/line/flags.hpp"

namespace rexec::cli {

enum class Daemon { kController, kAgent };

inline constexpr Flag kDataFlag{.name = "data",
                                .value = "DIR",
                                .help = "state (root: /var/lib/rexec/…, else below XDG_DATA_HOME)",
                                .choices = "@file"};

// Absolute. kConfig when there is no --data and no HOME; kConflict when the directory is the other
// daemon's: each has its own, so that removing or restoring one never touches the other.
Result<std::string> data_dir(const Args& args, Daemon daemon);

}  // namespace rexec::cli
