#include "src/os/terminal_modes.hpp"

#include <unistd.h>

#include <array>
#include <cstdint>
#include <iterator>

namespace rexec::os {
namespace {

constexpr std::uint8_t kEnd = 0;
constexpr std::uint8_t kInputSpeed = 128, kOutputSpeed = 129;
constexpr std::uint8_t kFirstUndefined = 160;  // its argument's size is not known
constexpr std::uint32_t kDisabled = 255;       // of a character that no key sends

struct Character {
  std::uint8_t opcode;
  std::size_t index;
};
constexpr Character kCharacters[] = {
    {1, VINTR},     {2, VQUIT},    {3, VERASE},  {4, VKILL},     {5, VEOF},
    {6, VEOL},      {7, VEOL2},    {8, VSTART},  {9, VSTOP},     {10, VSUSP},
    {12, VREPRINT}, {13, VWERASE}, {14, VLNEXT}, {18, VDISCARD},
};

struct Flag {
  std::uint8_t opcode;
  tcflag_t termios::* word;
  tcflag_t bit;
};
constexpr Flag kFlags[] = {
    {30, &termios::c_iflag, IGNPAR}, {31, &termios::c_iflag, PARMRK},
    {32, &termios::c_iflag, INPCK},  {33, &termios::c_iflag, ISTRIP},
    {34, &termios::c_iflag, INLCR},  {35, &termios::c_iflag, IGNCR},
    {36, &termios::c_iflag, ICRNL},  {37, &termios::c_iflag, IUCLC},
    {38, &termios::c_iflag, IXON},   {39, &termios::c_iflag, IXANY},
    {40, &termios::c_iflag, IXOFF},  {41, &termios::c_iflag, IMAXBEL},
    {42, &termios::c_iflag, IUTF8},  {50, &termios::c_lflag, ISIG},
    {51, &termios::c_lflag, ICANON}, {52, &termios::c_lflag, XCASE},
    {53, &termios::c_lflag, ECHO},   {54, &termios::c_lflag, ECHOE},
    {55, &termios::c_lflag, ECHOK},  {56, &termios::c_lflag, ECHONL},
    {57, &termios::c_lflag, NOFLSH}, {58, &termios::c_lflag, TOSTOP},
    {59, &termios::c_lflag, IEXTEN}, {60, &termios::c_lflag, ECHOCTL},
    {61, &termios::c_lflag, ECHOKE}, {62, &termios::c_lflag, PENDIN},
    {70, &termios::c_oflag, OPOST},  {71, &termios::c_oflag, OLCUC},
    {72, &termios::c_oflag, ONLCR},  {73, &termios::c_oflag, OCRNL},
    {74, &termios::c_oflag, ONOCR},  {75, &termios::c_oflag, ONLRET},
    {92, &termios::c_cflag, PARENB}, {93, &termios::c_cflag, PARODD},
};
// Seven and eight bits are one field of two.
constexpr std::uint8_t kSevenBits = 90, kEightBits = 91;

struct Speed {
  speed_t code;
  std::uint32_t bauds;
};
constexpr Speed kSpeeds[] = {{B300, 300},       {B1200, 1200},     {B2400, 2400},
                             {B4800, 4800},     {B9600, 9600},     {B19200, 19200},
                             {B38400, 38400},   {B57600, 57600},   {B115200, 115200},
                             {B230400, 230400}, {B460800, 460800}, {B921600, 921600}};

void put(std::string& out, std::uint8_t opcode, std::uint32_t value) {
  out += static_cast<char>(opcode);
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
}

void put_speed(std::string& out, std::uint8_t opcode, speed_t code) {
  for (const Speed& speed : kSpeeds)
    if (speed.code == code) put(out, opcode, speed.bauds);
}

std::uint32_t value_at(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = at; i < at + 4; ++i)
    value = value << 8 | static_cast<std::uint8_t>(bytes[i]);
  return value;
}

void apply(std::uint8_t opcode, std::uint32_t value, termios& modes) {
  for (const Character& one : kCharacters)
    if (one.opcode == opcode)
      modes.c_cc[one.index] =
          value == kDisabled ? _POSIX_VDISABLE : static_cast<cc_t>(value & 0xff);
  for (const Flag& flag : kFlags) {
    if (flag.opcode != opcode) continue;
    tcflag_t& word = modes.*flag.word;
    word = value != 0 ? word | flag.bit : word & ~flag.bit;
  }
  const bool is_size = opcode == kSevenBits || opcode == kEightBits;
  if (is_size && value != 0)
    modes.c_cflag = (modes.c_cflag & ~tcflag_t{CSIZE}) | (opcode == kSevenBits ? CS7 : CS8);
  for (const Speed& speed : kSpeeds) {
    if (speed.bauds != value) continue;
    if (opcode == kInputSpeed) ::cfsetispeed(&modes, speed.code);
    if (opcode == kOutputSpeed) ::cfsetospeed(&modes, speed.code);
  }
}

}  // namespace

std::string encode_terminal_modes(const termios& modes) {
  std::string out;
  for (const Character& one : kCharacters) {
    const cc_t value = modes.c_cc[one.index];
    put(out, one.opcode, value == _POSIX_VDISABLE ? kDisabled : value);
  }
  for (const Flag& flag : kFlags) put(out, flag.opcode, (modes.*flag.word & flag.bit) != 0 ? 1 : 0);
  const tcflag_t size = modes.c_cflag & CSIZE;
  if (size == CS7 || size == CS8) put(out, size == CS7 ? kSevenBits : kEightBits, 1);
  put_speed(out, kInputSpeed, ::cfgetispeed(&modes));
  put_speed(out, kOutputSpeed, ::cfgetospeed(&modes));
  out += static_cast<char>(kEnd);
  return out;
}

bool are_terminal_modes(std::string_view bytes) {
  if (bytes.size() > kMostTerminalModes) return false;
  for (std::size_t at = 0; at < bytes.size(); at += 5) {
    const auto opcode = static_cast<std::uint8_t>(bytes[at]);
    if (opcode == kEnd || opcode >= kFirstUndefined) return true;
    if (bytes.size() - at < 5) return false;
  }
  return true;
}

void apply_terminal_modes(std::string_view bytes, termios& modes) {
  for (std::size_t at = 0; at + 5 <= bytes.size(); at += 5) {
    const auto opcode = static_cast<std::uint8_t>(bytes[at]);
    if (opcode == kEnd || opcode >= kFirstUndefined) return;
    apply(opcode, value_at(bytes, at + 1), modes);
  }
}

}  // namespace rexec::os
