// A text cut to a length, for whatever has a bound and goes on to people or into a message: there a
// character that was cut in two would make the whole unreadable. Pure.
#pragma once

#include <string_view>

namespace rexec {

// The beginning of a text, at most `most` bytes of it: no character of it is cut in two.
std::string_view cut_text(std::string_view text, std::size_t most);

}  // namespace rexec
