// Reading TOML files that users and rexec write; config.cpp is the only file that knows toml++.
// Errors carry file:line:column, unknown keys are errors with a suggestion, a file over 1 MiB is
// refused before it is parsed. It does not write files: toml_quote() and write_file() do.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "src/base/clock.hpp"
#include "src/base/error.hpp"

namespace rexec {

// A flat view of a TOML document: "table.key" -> value. Arrays may hold strings only.
using ConfigValue = std::variant<std::string, std::int64_t, bool, double, std::vector<std::string>>;
struct ConfigEntry {
  ConfigValue value;
  std::uint32_t line = 0;
};
using ConfigMap = std::map<std::string, ConfigEntry>;

// kConfig with "FILE:LINE:COLUMN: why". A missing file is kIo.
Result<ConfigMap> read_config(const std::string& path);
Result<ConfigMap> parse_config(std::string_view text, std::string_view name);
// Refuses the first key that no pattern allows; "*" in a pattern stands for one path part
// ("contexts.*.ca").
Result<void> check_keys(const ConfigMap& map, std::string_view file,
                        const std::vector<std::string>& allowed);
// The value under `key`: text as people write it, a size in bytes also as a number, and at least
// `least`. nullopt: the key is not there. An error names the file, the line, the key and its value.
Result<std::optional<std::string>> text_under(const ConfigMap& map, std::string_view key,
                                              const std::string& file);
Result<std::optional<std::vector<std::string>>> list_under(const ConfigMap& map,
                                                           std::string_view key,
                                                           const std::string& file);
Result<std::optional<Millis>> duration_under(const ConfigMap& map, std::string_view key,
                                             const std::string& file);
Result<std::optional<std::uint64_t>> size_under(const ConfigMap& map, std::string_view key,
                                                const std::string& file, std::uint64_t least);
// A TOML basic string, quoted and escaped; a value as it is written behind its key.
std::string toml_quote(std::string_view text);
std::string toml_value(const ConfigValue& value);

}  // namespace rexec
