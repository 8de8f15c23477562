// Pseudo-terminals for jobs: a pair, its size, its end of file. Opens no path below /dev/pts by
// name.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>

#include "src/base/error.hpp"
#include "src/os/fd.hpp"

namespace rexec::os {

struct WindowSize {
  std::uint16_t rows = 24;
  std::uint16_t columns = 80;
};
struct Pty {
  UniqueFd master;  // non-blocking, close-on-exec
  UniqueFd slave;
};

// The slave belongs to `owner`, mode 0620, with the size set, and the modes of terminal_modes.hpp
// where some are given.
Result<Pty> open_pty(WindowSize size, uid_t owner, std::string_view terminal_modes = {});
Result<void> resize_pty(int master, WindowSize size);
// The character that means end of file on this terminal now (VEOF), 4 when it cannot be asked.
char eof_character(int master);

}  // namespace rexec::os
