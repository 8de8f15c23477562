// `rexec __persist`: the background process that keeps a context's connection open (hidden; started
// by src/client/persist, ended by `rexec context persist off`).
#include "src/client/persist.hpp"

#include "cli/line/verbs.hpp"

namespace rexec::cli {
namespace {

int run(const Invocation& invocation) {
  return client::run_keeper({invocation.globals.config, invocation.globals.context});
}

}  // namespace

constinit const Verb persist_verb{.name = "__persist", .run = run, .shown = Shown::kHidden};

void end_kept_connection(const std::string& context_directory) {
  client::stop_keeper(context_directory);
}

}  // namespace rexec::cli
