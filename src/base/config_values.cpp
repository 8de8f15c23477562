// What a setting holds: text, lists, durations and sizes, and what is said of one that holds
// something else.
#include <cstdio>

#include "src/base/amount.hpp"
#include "src/base/config.hpp"
#include "src/base/text.hpp"

namespace rexec {
namespace {

const ConfigEntry* entry_under(const ConfigMap& map, std::string_view key) {
  const auto at = map.find(std::string(key));
  return at == map.end() ? nullptr : &at->second;
}

std::string place_of(const ConfigEntry& entry, std::string_view key, const std::string& file) {
  return printable(file) + ":" + std::to_string(entry.line) + ": " + printable(key);
}

std::string shown(const ConfigValue& value) {
  if (const auto* real = std::get_if<double>(&value)) {
    char text[32];
    std::snprintf(text, sizeof text, "%g", *real);
    return text;
  }
  return printable(toml_value(value).substr(0, 64));
}

bool is_list(const ConfigValue& value) {
  return std::holds_alternative<std::vector<std::string>>(value);
}

// A number of seconds, which wants its unit.
bool is_count(const ConfigValue& value) {
  const auto* number = std::get_if<std::int64_t>(&value);
  return number != nullptr && *number >= 0;
}

}  // namespace

Result<std::optional<std::string>> text_under(const ConfigMap& map, std::string_view key,
                                              const std::string& file) {
  const ConfigEntry* entry = entry_under(map, key);
  if (entry == nullptr) return std::nullopt;
  if (const auto* text = std::get_if<std::string>(&entry->value)) return *text;
  const std::string name = printable(key) + " = ";
  return fail(Code::kConfig,
              place_of(*entry, key, file) + " is " + shown(entry->value) + ", and not a string",
              is_list(entry->value)
                  ? "write one string: " + name + "\"…\""
                  : "write it in quotes: " + name + "\"" + shown(entry->value) + "\"");
}

Result<std::optional<std::vector<std::string>>> list_under(const ConfigMap& map,
                                                           std::string_view key,
                                                           const std::string& file) {
  const ConfigEntry* entry = entry_under(map, key);
  if (entry == nullptr) return std::nullopt;
  if (const auto* list = std::get_if<std::vector<std::string>>(&entry->value)) return *list;
  const bool is_text = std::holds_alternative<std::string>(entry->value);
  const std::string name = printable(key) + " = [";
  return fail(Code::kConfig,
              place_of(*entry, key, file) + " is " + shown(entry->value) +
                  ", and not a list of strings",
              is_text ? "write it in brackets: " + name + shown(entry->value) + "]"
                      : "write: " + name + "\"…\"]");
}

Result<std::optional<Millis>> duration_under(const ConfigMap& map, std::string_view key,
                                             const std::string& file) {
  const ConfigEntry* entry = entry_under(map, key);
  if (entry == nullptr) return std::nullopt;
  const std::string place = place_of(*entry, key, file);
  if (const auto* text = std::get_if<std::string>(&entry->value))
    return parse_duration(place, *text);
  const std::string example = is_count(entry->value) ? shown(entry->value) + "s" : "30s";
  return fail(Code::kConfig, place + " is " + shown(entry->value) + ", and not a string",
              "write it with its unit, in quotes: " + printable(key) + " = \"" + example + "\"");
}

Result<std::optional<std::uint64_t>> size_under(const ConfigMap& map, std::string_view key,
                                                const std::string& file, std::uint64_t least) {
  const ConfigEntry* entry = entry_under(map, key);
  if (entry == nullptr) return std::nullopt;
  const std::string place = place_of(*entry, key, file);
  const auto* text = std::get_if<std::string>(&entry->value);
  if (text == nullptr && !std::holds_alternative<std::int64_t>(entry->value))
    return fail(Code::kConfig,
                place + " is " + shown(entry->value) + ", and neither a string nor a whole number",
                "write a size in quotes: " + printable(key) + " = \"512M\"");
  const std::string written = text == nullptr ? shown(entry->value) : *text;
  const Result<std::uint64_t> size = parse_amount(place, written, kSizes);
  if (!size) return std::unexpected(size.error());
  if (*size >= least) return *size;
  return fail(Code::kConfig,
              place + ": " + printable(written) + " is less than " + format_size(least) +
                  ", the least",
              "write a size with its unit: " + printable(key) +
                  " = \"512M\"; a number alone is bytes");
}

}  // namespace rexec
