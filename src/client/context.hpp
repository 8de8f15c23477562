// Contexts: which controller a person means and the credentials for it. `config.toml` lists them,
// the secrets lie in one private directory each. Reads the environment (XDG_*, REXEC_CONTEXT,
// REXEC_CONFIG) and files; dials nothing.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "src/net/tls.hpp"

namespace rexec::client {

struct Paths {
  std::string config_file;  // $REXEC_CONFIG or $XDG_CONFIG_HOME/rexec/config.toml
  std::string data_dir;     // $XDG_DATA_HOME/rexec
  std::string cache_dir;    // $XDG_CACHE_HOME/rexec
  std::string named_by;     // "--config" or "REXEC_CONFIG" when that is what names config_file
};
// kConfig when neither the variable nor HOME is set; `config_override` is --config.
Result<Paths> find_paths(const std::string& config_override);

enum class Persist { kAuto, kOn, kOff };

struct ContextEntry {
  std::string name;
  std::vector<std::string> addresses;
  std::string cluster;
  std::string user;
  Persist persist = Persist::kAuto;
  std::string data;  // the controller's directory, for whoever made it on this machine
};

class ContextFile {
 public:
  // A missing file is an empty list. kConfig with file:line for anything wrong.
  static Result<ContextFile> load(const Paths& paths);
  Result<void> save() const;
  // The named one (`name`, REXEC_CONTEXT), else the current one; kNotSignedIn with what to do when
  // there is none.
  Result<ContextEntry> choose(const std::string& name) const;
  // Of that very name; kUnknownObject with did-you-mean.
  Result<ContextEntry> find(const std::string& name) const;
  std::vector<ContextEntry> all() const;
  const std::string& current() const { return current_; }
  void put(ContextEntry entry);
  Result<void> use(const std::string& name);
  // Removes the entry and its directory of keys.
  Result<void> remove(const std::string& name);
  // Where the context's keys are: <data_dir>/ctx/NAME.
  std::string directory(const std::string& name) const;
  const Paths& paths() const { return paths_; }

 private:
  Paths paths_;
  std::string current_;
  std::map<std::string, ContextEntry> entries_;
};

// ca.der, cert.der, key.der of a directory; kKeyExposed when the key can be read by others,
// kNotSignedIn when files are missing.
Result<net::Credentials> load_credentials(const std::string& directory);
// Writes the three, 0600, key first; the directory is made 0700.
Result<void> save_credentials(const std::string& directory, const net::Credentials& credentials);

}  // namespace rexec::client
