// Pseudo-terminals. See pty.hpp.
#include "src/os/pty.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>

#include "src/os/terminal_modes.hpp"

namespace rexec::os {

Result<Pty> open_pty(WindowSize size, uid_t owner, std::string_view terminal_modes) {
  Pty pty;
  pty.master.reset(::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  if (!pty.master) return fail_errno("/dev/ptmx", errno);
  int unlock = 0;
  if (::ioctl(pty.master.get(), TIOCSPTLCK, &unlock) != 0) return fail_errno("TIOCSPTLCK", errno);
  // TIOCGPTPEER opens the slave through the master: no race with another /dev/pts mount.
  pty.slave.reset(::ioctl(pty.master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!pty.slave) return fail_errno("TIOCGPTPEER", errno);
  if (::geteuid() == 0 && ::fchown(pty.slave.get(), owner, static_cast<gid_t>(-1)) != 0)
    return fail_errno("terminal", errno);
  ::fchmod(pty.slave.get(), 0620);
  termios modes{};
  if (::tcgetattr(pty.slave.get(), &modes) == 0) {
    modes.c_iflag |= IUTF8;
    apply_terminal_modes(terminal_modes, modes);
    ::tcsetattr(pty.slave.get(), TCSANOW, &modes);
  }
  if (auto sized = resize_pty(pty.master.get(), size); !sized)
    return std::unexpected(sized.error());
  return pty;
}

Result<void> resize_pty(int master, WindowSize size) {
  winsize value{};
  value.ws_row = size.rows;
  value.ws_col = size.columns;
  if (::ioctl(master, TIOCSWINSZ, &value) != 0) return fail_errno("TIOCSWINSZ", errno);
  return {};
}

char eof_character(int master) {
  termios modes{};
  if (::tcgetattr(master, &modes) != 0) return 4;
  return static_cast<char>(modes.c_cc[VEOF]);
}

}  // namespace rexec::os
