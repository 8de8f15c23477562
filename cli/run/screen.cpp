#include "cli/run/screen.hpp"

#include <algorithm>

namespace rexec::cli {
namespace {

constexpr char kCancel = '\x18', kSubstitute = '\x1a', kEscape = '\x1b', kBell = '\a';
constexpr char kShiftOut = '\x0e', kShiftIn = '\x0f';
// A number that is larger names no mode.
constexpr std::uint32_t kLargest = 65'535;
// As deep as a terminal keeps the keyboard's flags.
constexpr std::uint32_t kMostPushed = 32;

struct Mode {
  char marker;  // '?' for DEC private modes, 0 for ECMA-48's own
  std::uint32_t number;
  bool normally_on = false;
};
// The first three are the alternate screen.
constexpr std::size_t kAlternates = 3;
constexpr Mode kModes[] = {
    {'?', 1049},      // with the cursor saved
    {'?', 1047},      //
    {'?', 47},        //
    {'?', 25, true},  // the cursor shows
    {'?', 1},         // application cursor keys
    {'?', 5},         // reverse video
    {'?', 7, true},   // autowrap
    {'?', 66},        // application keypad
    {'?', 69},        // left and right margins
    {'?', 9},         // mouse: X10, buttons, highlight, drags, all motion
    {'?', 1000},      //
    {'?', 1001},      //
    {'?', 1002},      //
    {'?', 1003},      //
    {'?', 1004},      // focus
    {'?', 1005},      // mouse encodings
    {'?', 1006},      //
    {'?', 1015},      //
    {'?', 1016},      //
    {'?', 2004},      // bracketed paste
    {'?', 2026},      // synchronized output
    {'?', 6},         // origin: positions count from the region
    {0, 4},           // insert
    {0, 20},          // line feed returns too
};
// Where the cursor goes home when it is switched off.
constexpr std::size_t kOrigin = 21;
static_assert(kModes[kOrigin].number == 6);

constexpr std::size_t row_of(char marker, std::uint32_t number) {
  const auto is_it = [&](const Mode& mode) {
    return mode.marker == marker && mode.number == number;
  };
  return static_cast<std::size_t>(std::ranges::find_if(kModes, is_it) - std::begin(kModes));
}

}  // namespace

bool Screen::is_alternate() const {
  for (std::size_t i = 0; i < kAlternates; ++i)
    if (changed_[i]) return true;
  return false;
}

void Screen::feed(std::string_view bytes) {
  static_assert(std::size(kModes) <= kMostModes);
  for (const char c : bytes) {
    const bool is_control = static_cast<unsigned char>(c) < 0x20;
    if (c == kCancel || c == kSubstitute) {
      state_ = State::kGround;
    } else if (c == kEscape) {
      state_ = State::kEscape;  // of a text too: ESC \ is its end, another escape its own
      intermediate_ = 0;
    } else if (state_ == State::kText) {
      if (c == kBell) state_ = State::kGround;
    } else if (is_control) {
      control(c);  // also amid a sequence, which goes on behind it
    } else if (state_ == State::kGround) {
      mid_line_ = mid_line_ || !is_alternate();
    } else if (state_ == State::kSequence) {
      sequence(c);
    } else {
      escape(c);
    }
  }
}

void Screen::control(char c) {
  if (c == '\n' && !is_alternate()) mid_line_ = false;
  if (c == kShiftOut || c == kShiftIn) shifted_ = c == kShiftOut;
}

void Screen::escape(char c) {
  if (c >= 0x20 && c <= 0x2f) {  // an intermediate: the first one says what it is about
    if (intermediate_ == 0) intermediate_ = c;
    state_ = State::kEscapeMore;
    return;
  }
  const bool is_plain = state_ == State::kEscape;
  state_ = State::kGround;
  if (!is_plain) {
    if (intermediate_ == '(') graphics_ = c != 'B';
    return;
  }
  switch (c) {
    case '[':
      return begin_sequence();
    case ']':
    case 'P':
    case 'X':
    case '^':
    case '_':
      state_ = State::kText;
      return;
    case '=':
    case '>':
      keypad_ = c == '=';
      return;
    case 'c':
      return reset();
    default:
      return;
  }
}

void Screen::begin_sequence() {
  state_ = State::kSequence;
  marker_ = intermediate_ = 0;
  parameters_.fill(0);
  count_ = 0;
  sub_parameter_ = false;
}

void Screen::sequence(char c) {
  if (c >= '0' && c <= '9') {
    if (count_ == 0) count_ = 1;
    if (sub_parameter_ || count_ > kMostParameters) return;
    std::uint32_t& number = parameters_[count_ - 1];
    number = std::min<std::uint32_t>(number * 10 + static_cast<std::uint32_t>(c - '0'), kLargest);
  } else if (c == ';') {
    count_ = std::min(std::max<std::size_t>(count_, 1) + 1, kMostParameters + 1);
    sub_parameter_ = false;
  } else if (c == ':') {
    sub_parameter_ = true;
  } else if (c >= '<' && c <= '?') {
    marker_ = c;
  } else if (c >= 0x20 && c <= 0x2f) {
    intermediate_ = c;
  } else if (c >= 0x40 && c <= 0x7e) {
    state_ = State::kGround;
    end_sequence(c);
  }
}

std::uint32_t Screen::parameter(std::size_t index) const {
  return index < std::min(count_, kMostParameters) ? parameters_[index] : 0;
}

void Screen::end_sequence(char final) {
  if (intermediate_ == ' ' && final == 'q') cursor_style_ = parameter(0) != 0;
  if (intermediate_ == '!' && final == 'p') reset_softly();
  if (intermediate_ != 0) return;
  if ((final == 'h' || final == 'l') && (marker_ == '?' || marker_ == 0))
    return set_modes(final == 'h');
  if (final == 'r' && marker_ == 0) region_ = parameter(0) != 0 || parameter(1) != 0;
  if (final == 'm' && marker_ == 0) colours();
  if (final == 'm' && marker_ == '>' && parameter(0) == 4) key_modifiers_ = parameter(1) != 0;
  const std::uint32_t times = std::max<std::uint32_t>(parameter(0), 1);
  if (final == 'u' && marker_ == '>')
    keyboard_pushed_ = std::min(keyboard_pushed_ + 1, kMostPushed);
  if (final == 'u' && marker_ == '<') keyboard_pushed_ -= std::min(keyboard_pushed_, times);
}

void Screen::set_modes(bool on) {
  for (std::size_t i = 0; i < std::min(count_, kMostParameters); ++i) {
    const std::size_t row = row_of(marker_, parameters_[i]);
    if (row >= std::size(kModes)) continue;
    changed_[row] = on != kModes[row].normally_on;
    // Whichever name it was entered by, there is one alternate screen.
    if (row < kAlternates && !on)
      for (std::size_t other = 0; other < kAlternates; ++other) changed_[other] = false;
  }
}

void Screen::colours() {
  if (count_ == 0) coloured_ = false;
  for (std::size_t i = 0; i < std::min(count_, kMostParameters); ++i) {
    const std::uint32_t one = parameters_[i];
    coloured_ = one != 0;
    // 38;5;0 is a colour, not a reset.
    const bool is_extended = one == 38 || one == 48 || one == 58;
    if (is_extended && parameter(i + 1) == 5) i += 2;
    if (is_extended && parameter(i + 1) == 2) i += 4;
  }
}

// DECSTR leaves the screen, the mouse and what pastes alone.
void Screen::reset_softly() {
  for (const std::uint32_t number : {25U, 1U, 7U, 66U, 6U}) changed_[row_of('?', number)] = false;
  changed_[row_of(0, 4)] = false;
  keypad_ = region_ = coloured_ = graphics_ = shifted_ = false;
}

void Screen::reset() { *this = Screen(); }

std::string Screen::restore() const {
  std::string out;
  // An unfinished sequence would swallow what follows.
  if (state_ != State::kGround) out += kCancel;
  if (shifted_) out += kShiftIn;
  if (graphics_) out += "\x1b(B";
  if (coloured_) out += "\x1b[0m";
  if (keypad_) out += "\x1b>";
  if (cursor_style_) out += "\x1b[0 q";
  if (key_modifiers_) out += "\x1b[>4;0m";
  if (keyboard_pushed_ > 0) out += "\x1b[<" + std::to_string(keyboard_pushed_) + "u";
  // These send the cursor home; but 1049 brings it back to where it was.
  const bool keeps_cursor = region_ && !changed_[0];
  if (keeps_cursor)
    out +=
        "\x1b"
        "7";
  if (region_) out += "\x1b[r";
  if (keeps_cursor)
    out +=
        "\x1b"
        "8";
  // Saved and brought back with the cursor, so it goes last; then the lowest line is as good as
  // any.
  if (changed_[kOrigin]) out += "\x1b[?6l\x1b[999;1H";
  for (std::size_t row = std::size(kModes); row-- > 0;) {
    if (!changed_[row] || row == kOrigin) continue;
    const Mode& mode = kModes[row];
    out += std::string("\x1b[") + (mode.marker == 0 ? "" : "?") + std::to_string(mode.number) +
           (mode.normally_on ? 'h' : 'l');
  }
  return out;
}

}  // namespace rexec::cli
