// TARGET as text: `node42`, `a,b`, `node[01-20,30]`, `@group`, `label=value`, `@all`, joined by `,`
// (or), `&` (and), `!` (not) and parentheses; `&` binds tighter than `,`. The one parser for the
// command line, the API and roles. It looks nothing up.
#pragma once

#include <string>
#include <string_view>

#include "src/base/error.hpp"
#include "src/select/selector.hpp"

namespace rexec::select {

// kUsage with the column and a hint; kLimit past the bounds of selector.hpp. `a,!b` is refused: it
// would add every node except b, where people mean `a&!b`.
Result<Selector> parse_target(std::string_view text);

// Text that parses to the same selector, bounds permitting; for records and messages.
std::string to_text(const Selector& selector);

}  // namespace rexec::select
