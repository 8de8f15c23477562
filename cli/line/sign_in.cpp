#include "cli/line/sign_in.hpp"

#include "cli/line/errors.hpp"
#include "src/base/ids.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {

Result<client::ContextFile> load_contexts(const Globals& globals) {
  const Result<client::Paths> paths = client::find_paths(globals.config);
  if (!paths) return std::unexpected(paths.error());
  return client::ContextFile::load(*paths);
}

Result<void> check_context_free(const Globals& globals, const std::string& name) {
  if (name.empty()) return {};
  const Result<void> good = check_name("context", name);
  if (!good) return good;
  const Result<client::ContextFile> file = load_contexts(globals);
  if (!file) return std::unexpected(file.error());
  for (const client::ContextEntry& entry : file->all()) {
    if (entry.name != name) continue;
    return fail(Code::kConflict, "there is a context \"" + name + "\" already",
                "choose another name: --context NAME\nor remove it: rexec context rm " + name);
  }
  return {};
}

Result<void> sign_in(const Globals& globals, client::ContextEntry entry,
                     const net::Credentials& credentials) {
  const Result<void> good = check_name("context", entry.name);
  if (!good) return good;
  Result<client::ContextFile> file = load_contexts(globals);
  if (!file) return std::unexpected(file.error());
  const Result<void> saved = client::save_credentials(file->directory(entry.name), credentials);
  if (!saved) return saved;
  const std::string name = entry.name;
  const std::string before = file->current();
  file->put(std::move(entry));
  Result<void> done = file->use(name);
  if (done) done = file->save();
  if (done && !before.empty() && before != name)
    print_notice(globals, "your current context is \"" + printable(name) + "\" now, it was \"" +
                              printable(before) + "\"; back to that: rexec context use " +
                              printable(before));
  return done;
}

}  // namespace rexec::cli
