// A terminal's modes as bytes and back: the encoding of RFC 4254 §8, as ssh sends them. Pure: it
// asks and sets no terminal. A client encodes its own, the shim applies them to a job's.
#pragma once

#include <termios.h>

#include <string>
#include <string_view>

namespace rexec::os {

// All opcodes of the RFC with 5 bytes each, and the end.
inline constexpr std::size_t kMostTerminalModes = 160 * 5 + 1;

// The control characters, flags and speeds of RFC 4254 §8, and IUTF8 of RFC 8160.
std::string encode_terminal_modes(const termios& modes);
// False when they are longer than there are opcodes, or end amid one.
bool are_terminal_modes(std::string_view bytes);
// What is not named stays; unknown opcodes are skipped.
void apply_terminal_modes(std::string_view bytes, termios& modes);

}  // namespace rexec::os
