// A terminal's modes in the encoding of RFC 4254 §8, there and back.
#include "src/os/terminal_modes.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <string>

using namespace rexec::os;

namespace {

termios plain() {
  termios modes{};
  modes.c_iflag = ICRNL | IXON | IUTF8;
  modes.c_oflag = OPOST | ONLCR;
  modes.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | IEXTEN;
  modes.c_cflag = CS8 | CREAD;
  modes.c_cc[VINTR] = 3;
  modes.c_cc[VERASE] = 0x7f;
  modes.c_cc[VEOF] = 4;
  modes.c_cc[VMIN] = 1;
  ::cfsetispeed(&modes, B38400);
  ::cfsetospeed(&modes, B38400);
  return modes;
}

std::string opcode(std::uint8_t code, std::uint8_t value) {
  return std::string{static_cast<char>(code), 0, 0, 0, static_cast<char>(value)};
}

}  // namespace

TEST_CASE("terminal modes: what is encoded is applied as it was") {
  termios there = plain();
  there.c_cc[VINTR] = 7;
  there.c_cc[VERASE] = 8;
  there.c_cc[VSUSP] = _POSIX_VDISABLE;
  there.c_lflag &= ~tcflag_t{ECHO | ISIG};
  there.c_iflag &= ~tcflag_t{IXON | IUTF8};
  there.c_oflag &= ~tcflag_t{ONLCR};
  there.c_cflag = (there.c_cflag & ~tcflag_t{CSIZE}) | CS7 | PARENB;
  ::cfsetospeed(&there, B9600);
  const std::string bytes = encode_terminal_modes(there);
  CHECK(are_terminal_modes(bytes));
  CHECK(bytes.size() <= kMostTerminalModes);

  termios here = plain();
  apply_terminal_modes(bytes, here);
  CHECK(here.c_cc[VINTR] == 7);
  CHECK(here.c_cc[VERASE] == 8);
  CHECK(here.c_cc[VSUSP] == _POSIX_VDISABLE);
  CHECK(here.c_iflag == there.c_iflag);
  CHECK(here.c_oflag == there.c_oflag);
  CHECK(here.c_lflag == there.c_lflag);
  CHECK((here.c_cflag & (CSIZE | PARENB)) == tcflag_t{CS7 | PARENB});
  CHECK(::cfgetospeed(&here) == B9600);
  CHECK(encode_terminal_modes(here) == bytes);
}

TEST_CASE("terminal modes: the opcodes are those of the RFC, and an end stops the reading") {
  termios modes = plain();
  apply_terminal_modes(opcode(1, 7) + opcode(3, 8) + opcode(53, 0) + opcode(0, 0) + opcode(1, 9),
                       modes);
  CHECK(modes.c_cc[VINTR] == 7);
  CHECK(modes.c_cc[VERASE] == 8);
  CHECK((modes.c_lflag & ECHO) == 0);
  apply_terminal_modes(opcode(1, 255), modes);  // the RFC's word for: no key
  CHECK(modes.c_cc[VINTR] == _POSIX_VDISABLE);
}

TEST_CASE("terminal modes: unknown opcodes change nothing, and what ends amid one is refused") {
  termios modes = plain();
  const std::string before = encode_terminal_modes(modes);
  apply_terminal_modes(opcode(11, 1) + opcode(127, 9) + opcode(200, 7) + opcode(1, 7), modes);
  CHECK(encode_terminal_modes(modes) == before);
  CHECK(are_terminal_modes(""));
  CHECK(are_terminal_modes(opcode(127, 9)));
  CHECK_FALSE(are_terminal_modes(opcode(1, 7).substr(0, 4)));
  CHECK_FALSE(are_terminal_modes(std::string(kMostTerminalModes + 1, '\1')));
}
