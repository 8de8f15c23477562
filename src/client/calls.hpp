// Questions to the controller for verbs that need no more than an answer. Each opens a connection
// of its own, on an io_context of its own, and closes it; runs and attachments are run.hpp's.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "src/client/connect.hpp"

namespace rexec::client {

// Connects, makes one call on an io_context of its own, disconnects. For the simple verbs. A
// question that changes nothing is put once more when the connection broke before its answer; of
// another one it is then not known whether it was done, and the hint says so.
Result<wire::Map> call_once(const ConnectOptions& options, const std::string& verb, wire::Map args);

// The same for many objects over one connection, side by side: `on_answer` has each answer as it
// comes. An error when nobody could be asked. Nothing is put twice.
using OnAnswer = std::function<void(std::size_t index, Result<wire::Map> answer)>;
Result<void> call_many(const ConnectOptions& options, const std::string& verb,
                       const std::vector<wire::Map>& args, const OnAnswer& on_answer);

// All rows of a list that comes in pages, over one connection: `list` of each answer, until there
// is no `more` or `most` rows came. The first answer, with all of them in `list`.
Result<wire::Map> call_pages(const ConnectOptions& options, const std::string& verb, wire::Map args,
                             const std::string& list, std::uint64_t most = ~std::uint64_t{0});

}  // namespace rexec::client
