// TOML by toml++, flattened to "table.key" -> value. The parser never sees more than 1 MiB, and its
// exceptions and types stay in this file.
#include "src/base/config.hpp"

// toml++ 3.3 asserts on text such as "[[[": here that is an error like any other. Without NDEBUG
// its assertions are ours to define; with it they would be undefined behaviour.
#undef NDEBUG
namespace rexec {
struct TomlAssertion {};
}  // namespace rexec
#define TOML_ASSERT(holds) ((holds) ? void(0) : throw rexec::TomlAssertion())
#define TOML_ENABLE_FORMATTERS 0
#define TOML_ENABLE_WINDOWS_COMPAT 0
#define TOML_MAX_NESTED_VALUES 32
#include <toml++/toml.h>

#include <algorithm>

#include "src/base/file.hpp"
#include "src/base/text.hpp"

namespace rexec {
namespace {

constexpr std::size_t kMaxConfig = 1 << 20;
constexpr std::size_t kMaxKeyParts = 64;

bool is_bare_key(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

// The end of the quoted string that begins at `at`, or `at` when it does not end on this line.
std::size_t skip_quoted(std::string_view text, std::size_t at) {
  for (std::size_t i = at + 1; i < text.size() && text[i] != '\n'; ++i) {
    if (text[i] == text[at]) return i;
    if (text[i] == '\\' && text[at] == '"') ++i;
  }
  return at;
}

// toml++ destroys tables recursively, so "a.a.a.a…" would overflow the stack: the most dots that
// one run of dotted words has. It reads strings and comments too, which do no harm below 64.
std::size_t most_dots(std::string_view text) {
  std::size_t most = 0;
  std::size_t dots = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"' || c == '\'') {
      i = skip_quoted(text, i);
    } else if (c == '.') {
      most = std::max(most, ++dots);
    } else if (!is_bare_key(c) && c != ' ' && c != '\t') {
      dots = 0;
    }
  }
  return most;
}

std::string place(std::string_view name, const toml::source_position& at) {
  return printable(name) + ":" + std::to_string(at.line) + ":" + std::to_string(at.column);
}

std::unexpected<Error> fail_at(std::string_view name, const toml::source_position& at,
                               const std::string& why) {
  return fail(Code::kConfig, place(name, at) + ": " + why);
}

struct Flattener {
  std::string_view name;
  ConfigMap map;

  Result<void> table(const toml::table& from, const std::string& prefix) {
    for (const auto& [key, node] : from) {
      const std::string path = prefix + std::string(key.str());
      Result<void> done = entry(path, node);
      if (!done) return done;
    }
    return {};
  }

  Result<void> entry(const std::string& path, const toml::node& node) {
    if (const toml::table* inner = node.as_table()) return table(*inner, path + ".");
    Result<ConfigValue> found = value(path, node);
    if (!found) return std::unexpected(found.error());
    map.emplace(path, ConfigEntry{std::move(*found), node.source().begin.line});
    return {};
  }

  Result<ConfigValue> value(const std::string& path, const toml::node& node) const {
    if (const auto* text = node.as_string()) return text->get();
    if (const auto* number = node.as_integer()) return number->get();
    if (const auto* flag = node.as_boolean()) return flag->get();
    if (const auto* real = node.as_floating_point()) return real->get();
    if (const toml::array* list = node.as_array()) return strings(path, *list);
    return fail_at(name, node.source().begin,
                   printable(path) + " is a date; write it as a quoted string");
  }

  Result<ConfigValue> strings(const std::string& path, const toml::array& list) const {
    std::vector<std::string> texts;
    for (const toml::node& node : list) {
      const auto* text = node.as_string();
      if (text == nullptr) {
        return fail_at(name, node.source().begin, printable(path) + " may hold strings only");
      }
      texts.push_back(text->get());
    }
    return texts;
  }
};

bool matches(const std::string& pattern, const std::vector<std::string>& key) {
  const std::vector<std::string> parts = split(pattern, '.');
  if (parts.size() != key.size()) return false;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i] != "*" && parts[i] != key[i]) return false;
  }
  return true;
}

// The allowed keys with "*" replaced by what the user wrote there: a suggestion can be pasted.
std::vector<std::string> candidates(const std::vector<std::string>& allowed,
                                    const std::vector<std::string>& key) {
  std::vector<std::string> filled;
  for (const std::string& pattern : allowed) {
    std::string text;
    std::size_t i = 0;
    for (const std::string& part : split(pattern, '.')) {
      if (i > 0) text += '.';
      text += part == "*" && i < key.size() ? key[i] : part;
      ++i;
    }
    filled.push_back(std::move(text));
  }
  return filled;
}

}  // namespace

Result<ConfigMap> read_config(const std::string& path) {
  const Result<std::string> text = read_file(path, kMaxConfig);
  if (!text) return std::unexpected(text.error());
  return parse_config(*text, path);
}

Result<ConfigMap> parse_config(std::string_view text, std::string_view name) {
  if (text.size() > kMaxConfig) {
    return fail(Code::kConfig, printable(name) + " is larger than 1 MiB, the limit");
  }
  if (most_dots(text) >= kMaxKeyParts) {
    return fail(Code::kConfig, printable(name) + " has a key of more than 64 parts");
  }
  try {
    const toml::table root = toml::parse(text, name);
    Flattener flattener{name, {}};
    const Result<void> done = flattener.table(root, "");
    if (!done) return std::unexpected(done.error());
    return std::move(flattener.map);
  } catch (const toml::parse_error& error) {
    return fail_at(name, error.source().begin, printable(error.description()));
  } catch (const TomlAssertion&) {
    return fail(Code::kConfig, printable(name) + " is not TOML");
  }
}

Result<void> check_keys(const ConfigMap& map, std::string_view file,
                        const std::vector<std::string>& allowed) {
  for (const auto& [key, entry] : map) {
    const std::vector<std::string> parts = split(key, '.');
    bool known = false;
    for (const std::string& pattern : allowed) known = known || matches(pattern, parts);
    if (known) continue;
    return fail(Code::kConfig,
                printable(file) + ":" + std::to_string(entry.line) + ": unknown key \"" +
                    printable(key) + "\"",
                did_you_mean(key, candidates(allowed, parts)));
  }
  return {};
}

std::string toml_quote(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') quoted += '\\';
    if (byte < 0x20 || byte == 0x7F) {
      quoted.append("\\u00").append(1, kHex[byte >> 4]).append(1, kHex[byte & 15]);
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

}  // namespace rexec
