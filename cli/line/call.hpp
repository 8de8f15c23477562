// One question to the controller of the chosen context, and what every verb does with a failure.
// It keeps Asio out of the simple verbs.
#pragma once

#include <functional>
#include <string>

#include "cli/line/verbs.hpp"
#include "src/wire/maps.hpp"

namespace rexec::cli {

Result<wire::Map> call(const Globals& globals, const std::string& verb,
                       wire::Map args = wire::Map::object());

// All rows of a list, which comes in pages: the answer with all of them in `list`.
Result<wire::Map> call_pages(const Globals& globals, const std::string& verb,
                             const std::string& list, wire::Map args = wire::Map::object(),
                             std::uint64_t most = ~std::uint64_t{0});

// The same for many, side by side; each answer as it comes. An error when nobody could be asked.
using OnAnswer = std::function<void(std::size_t index, const Result<wire::Map>& answer)>;
Result<void> call_many(const Globals& globals, const std::string& verb,
                       const std::vector<wire::Map>& args, const OnAnswer& on_answer);

// One call per object: failures are printed and the rest goes on. 0, the code of the only failure,
// or 7 when some succeeded. `done` (may be empty) is printed as -o says for each success.
int call_for_each(const Globals& globals, const std::string& verb, const std::string& key,
                  const std::vector<std::string>& objects, const std::string& done,
                  const wire::Map& more = wire::Map::object());

// The same, with whole lines of words about each success.
using Describe = std::function<std::string(const std::string& object, const wire::Map& answer)>;
int call_for_each(const Globals& globals, const std::string& verb, const std::string& key,
                  const std::vector<std::string>& objects, const Describe& describe,
                  const wire::Map& more = wire::Map::object());

// Asks on a terminal unless --yes says it already: 0 to go on, 1 for a no. Where nobody can be
// asked (no terminal, --no-input) it is an error, 2, that names -y.
int confirm(const Invocation& invocation, const std::string& question);

}  // namespace rexec::cli
