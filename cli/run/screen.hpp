// What a job's output has changed of the terminal that shows it, followed byte by byte as the
// terminal itself reads it (ECMA-48, DEC private modes as xterm has them): so that leaving a job
// that was not asked to end can take back just that. Pure; it keeps no text and no cursor position.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>

namespace rexec::cli {

class Screen {
 public:
  void feed(std::string_view bytes);
  // What takes back all that differs from a terminal's normal state; empty when nothing does. Where
  // the cursor was on the ordinary screen it stays.
  std::string restore() const;
  // On the ordinary screen, the cursor is behind some text.
  bool is_mid_line() const { return mid_line_; }

 private:
  enum class State : std::uint8_t { kGround, kEscape, kEscapeMore, kSequence, kText };
  static constexpr std::size_t kMostParameters = 16;  // what xterm takes too; others are ignored
  static constexpr std::size_t kMostModes = 24;       // rows of the table in screen.cpp

  void control(char c);
  void escape(char c);
  void begin_sequence();
  void sequence(char c);
  void end_sequence(char final);
  void set_modes(bool on);
  void colours();
  void reset_softly();
  void reset();
  std::uint32_t parameter(std::size_t index) const;
  bool is_alternate() const;

  State state_ = State::kGround;
  // Of the control sequence under way.
  char marker_ = 0;        // '?', '>', '<', '=' or none
  char intermediate_ = 0;  // ' ', '!', '(' …
  std::array<std::uint32_t, kMostParameters> parameters_{};
  std::size_t count_ = 0;
  bool sub_parameter_ = false;  // behind a colon: belongs to the number before it

  std::bitset<kMostModes> changed_;  // modes that are not as normal
  bool keypad_ = false;              // application keypad
  bool region_ = false;              // scrolling is confined
  bool coloured_ = false;            // colours or attributes are on
  bool graphics_ = false;            // G0 is another set than ASCII
  bool shifted_ = false;             // G1 is in use
  bool cursor_style_ = false;
  bool key_modifiers_ = false;         // xterm's modifyOtherKeys
  std::uint32_t keyboard_pushed_ = 0;  // entries on the stack of the kitty keyboard protocol
  bool mid_line_ = false;
};

}  // namespace rexec::cli
