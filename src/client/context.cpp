#include "src/client/context.hpp"

#include <cstdlib>
#include <filesystem>

#include "src/base/config.hpp"
#include "src/base/file.hpp"
#include "src/base/ids.hpp"
#include "src/base/text.hpp"

namespace rexec::client {
namespace {

std::string env_or_empty(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

// XDG rule: a relative path in the variable is ignored.
Result<std::string> xdg(const char* variable, const char* under_home) {
  const std::string set = env_or_empty(variable);
  if (!set.empty() && set.front() == '/') return set + "/rexec";
  const std::string home = env_or_empty("HOME");
  if (home.empty())
    return fail(Code::kConfig, std::string("neither ") + variable + " nor HOME is set",
                std::string("export HOME, or ") + variable);
  return home + "/" + under_home + "/rexec";
}

const char* persist_name(Persist persist) {
  switch (persist) {
    case Persist::kOn:
      return "on";
    case Persist::kOff:
      return "off";
    case Persist::kAuto:
      return "auto";
  }
  return "auto";
}

// The text under `key` into `out`, which stays as it is when the key is missing.
Result<void> read_text(const ConfigMap& map, const std::string& file, const std::string& key,
                       std::string& out) {
  const auto at = map.find(key);
  if (at == map.end()) return {};
  const auto* text = std::get_if<std::string>(&at->second.value);
  if (text == nullptr)
    return fail(Code::kConfig,
                file + ":" + std::to_string(at->second.line) + ": " + key + " is not a string");
  out = *text;
  return {};
}

Result<Persist> parse_persist(const std::string& file, const std::string& word) {
  if (word.empty() || word == "auto") return Persist::kAuto;
  if (word == "on") return Persist::kOn;
  if (word == "off") return Persist::kOff;
  return fail(Code::kConfig, file + ": persist is \"" + printable(word) + "\"",
              "it may be on, off or auto");
}

constexpr const char* kMendConfig =
    "mend the file, or name another: --config FILE\nsee: rexec explain config";

// Of a file that somebody named and that is not there; the usual one is simply not there yet.
std::string missing_file(const Paths& paths) {
  std::error_code ignored;
  if (paths.named_by.empty() || std::filesystem::exists(paths.config_file, ignored)) return {};
  return ": there is no " + printable(paths.config_file) + " (" + paths.named_by + ")";
}

}  // namespace

Result<Paths> find_paths(const std::string& config_override) {
  auto config = xdg("XDG_CONFIG_HOME", ".config");
  auto data = xdg("XDG_DATA_HOME", ".local/share");
  auto cache = xdg("XDG_CACHE_HOME", ".cache");
  for (const auto* part : {&config, &data, &cache})
    if (!*part) return std::unexpected(part->error());
  Paths paths{*config + "/config.toml", *data, *cache, {}};
  const std::string from_env = env_or_empty("REXEC_CONFIG");
  if (!from_env.empty()) paths.config_file = from_env, paths.named_by = "REXEC_CONFIG";
  if (!config_override.empty()) paths.config_file = config_override, paths.named_by = "--config";
  return paths;
}

Result<ContextFile> ContextFile::load(const Paths& paths) {
  ContextFile file;
  file.paths_ = paths;
  std::error_code ignored;
  if (!std::filesystem::exists(paths.config_file, ignored)) return file;
  auto map = read_config(paths.config_file);
  if (!map) return fail(Code::kConfig, map.error().message, kMendConfig);
  const auto keys = check_keys(*map, paths.config_file,
                               {"current", "contexts.*.addresses", "contexts.*.cluster",
                                "contexts.*.user", "contexts.*.persist", "contexts.*.data"});
  if (!keys)
    return fail(Code::kConfig, keys.error().message,
                keys.error().hint.empty() ? kMendConfig : keys.error().hint);
  const std::string& name = paths.config_file;
  auto read = read_text(*map, name, "current", file.current_);
  if (!read) return std::unexpected(read.error());
  for (const auto& [key, entry] : *map) {
    const auto parts = split(key, '.');
    if (parts.size() != 3 || parts[2] != "addresses") continue;
    const auto* addresses = std::get_if<std::vector<std::string>>(&entry.value);
    if (addresses == nullptr || addresses->empty())
      return fail(Code::kConfig, paths.config_file + ":" + std::to_string(entry.line) +
                                     ": addresses is not a list of HOST:PORT");
    ContextEntry context{parts[1], *addresses, {}, {}, Persist::kAuto, {}};
    const std::string prefix = "contexts." + parts[1];
    std::string persist;
    read = read_text(*map, name, prefix + ".cluster", context.cluster);
    if (read) read = read_text(*map, name, prefix + ".user", context.user);
    if (read) read = read_text(*map, name, prefix + ".persist", persist);
    if (read) read = read_text(*map, name, prefix + ".data", context.data);
    if (!read) return std::unexpected(read.error());
    auto mode = parse_persist(name, persist);
    if (!mode) return std::unexpected(mode.error());
    context.persist = *mode;
    file.entries_[context.name] = std::move(context);
  }
  return file;
}

Result<void> ContextFile::save() const {
  std::string text = "# written by rexec; see rexec-context(1)\n";
  if (!current_.empty()) text += "current = " + toml_quote(current_) + "\n";
  for (const auto& [name, entry] : entries_) {
    text += "\n[contexts." + toml_quote(name) + "]\naddresses = [";
    for (std::size_t i = 0; i < entry.addresses.size(); ++i)
      text += (i == 0 ? "" : ", ") + toml_quote(entry.addresses[i]);
    text += "]\ncluster = " + toml_quote(entry.cluster) + "\nuser = " + toml_quote(entry.user) +
            "\npersist = " + toml_quote(persist_name(entry.persist)) + "\n";
    if (!entry.data.empty()) text += "data = " + toml_quote(entry.data) + "\n";
  }
  const auto slash = paths_.config_file.rfind('/');
  if (slash != std::string::npos && slash > 0) {
    auto made = make_directories(paths_.config_file.substr(0, slash), 0700);
    if (!made) return made;
  }
  return write_file(paths_.config_file, text, 0600);
}

Result<ContextEntry> ContextFile::choose(const std::string& name) const {
  const std::string from_env = env_or_empty("REXEC_CONTEXT");
  const std::string wanted = !name.empty() ? name : !from_env.empty() ? from_env : current_;
  if (entries_.empty() || wanted.empty())
    return fail(Code::kNotSignedIn, "not signed in to any controller" + missing_file(paths_),
                "sign in with a token from its administrator: rexec login rx1_…\ntry rexec on this "
                "machine: rexec demo");
  return find(wanted);
}

Result<ContextEntry> ContextFile::find(const std::string& name) const {
  const auto at = entries_.find(name);
  if (at != entries_.end()) return at->second;
  std::vector<std::string> names;
  for (const auto& [known, entry] : entries_) names.push_back(known);
  const std::string mean = did_you_mean(name, names);
  return fail(Code::kUnknownObject, "no context \"" + printable(name) + "\"",
              (mean.empty() ? "" : mean + "\n") + "see: rexec context ls");
}

std::vector<ContextEntry> ContextFile::all() const {
  std::vector<ContextEntry> out;
  for (const auto& [name, entry] : entries_) out.push_back(entry);
  return out;
}

void ContextFile::put(ContextEntry entry) {
  if (current_.empty()) current_ = entry.name;
  entries_[entry.name] = std::move(entry);
}

Result<void> ContextFile::use(const std::string& name) {
  const auto found = find(name);
  if (!found) return std::unexpected(found.error());
  current_ = name;
  return {};
}

Result<void> ContextFile::remove(const std::string& name) {
  const auto found = find(name);
  if (!found) return std::unexpected(found.error());
  entries_.erase(name);
  if (current_ == name) current_ = entries_.empty() ? std::string() : entries_.begin()->first;
  std::error_code ignored;
  std::filesystem::remove_all(directory(name), ignored);
  return {};
}

std::string ContextFile::directory(const std::string& name) const {
  return paths_.data_dir + "/ctx/" + name;
}

Result<net::Credentials> load_credentials(const std::string& directory) {
  net::Credentials out;
  auto key = read_secret_file(directory + "/key.der");
  if (!key) {
    if (key.error().code == Code::kIo)
      key.error() = {Code::kNotSignedIn, key.error().message, "sign in again: rexec login rx1_…"};
    return std::unexpected(key.error());
  }
  out.key = std::move(*key);
  for (const auto& [file, into] :
       {std::pair{"/cert.der", &out.certificate}, std::pair{"/ca.der", &out.ca}}) {
    auto read = read_file(directory + file);
    if (!read)
      return fail(Code::kNotSignedIn, read.error().message, "sign in again: rexec login rx1_…");
    *into = std::move(*read);
  }
  return out;
}

Result<void> save_credentials(const std::string& directory, const net::Credentials& credentials) {
  auto made = make_directories(directory, 0700);
  if (!made) return made;
  for (const auto& [file, content] :
       {std::pair{"/key.der", &credentials.key}, std::pair{"/ca.der", &credentials.ca},
        std::pair{"/cert.der", &credentials.certificate}}) {
    auto written = write_file(directory + file, *content, 0600);
    if (!written) return written;
  }
  return {};
}

}  // namespace rexec::client
