// Writing a context with its credentials, for the verbs that make one: login, controller init,
// context add, demo. Dials nothing.
#pragma once

#include "cli/line/verbs.hpp"
#include "src/client/context.hpp"

namespace rexec::cli {

// The file of contexts that the globals mean.
Result<client::ContextFile> load_contexts(const Globals& globals);
// kConflict when there is a context of that name; an empty name is free.
Result<void> check_context_free(const Globals& globals, const std::string& name);
// Secrets first, then the entry, which becomes the current one; of another that was it before is
// said so. The name is checked.
Result<void> sign_in(const Globals& globals, client::ContextEntry entry,
                     const net::Credentials& credentials);

}  // namespace rexec::cli
