#include "cli/line/listing.hpp"

#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "cli/line/errors.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

// Code points; good enough for names and commands, which are ASCII nearly always.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

// A narrow table cuts long cells; wide ones show all.
constexpr std::size_t kLongestCell = 60;

std::string shorten(std::string text, Cells cells) {
  if (cells == Cells::kWhole || width(text) <= kLongestCell) return text;
  std::size_t bytes = 0;
  for (std::size_t seen = 0; bytes < text.size(); ++bytes) {
    if ((static_cast<unsigned char>(text[bytes]) & 0xC0) != 0x80 && ++seen == kLongestCell) break;
  }
  return text.substr(0, bytes) + "…";
}

std::string format_table(const Listing& listing, Format format, Cells cells) {
  std::vector<std::vector<std::string>> lines(listing.rows.size() + 1);
  for (std::size_t i = 0; i < listing.headings.size(); ++i) {
    if (listing.headings[i].column == Column::kWide && format != Format::kWide) continue;
    lines[0].emplace_back(listing.headings[i].title);
    for (std::size_t row = 0; row < listing.rows.size(); ++row) {
      lines[row + 1].push_back(shorten(printable(listing.rows[row][i]), cells));
    }
  }
  std::vector<std::size_t> widths(lines[0].size(), 0);
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], width(line[i]));
  }
  std::string text;
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) {
      text += line[i];
      if (i + 1 < line.size()) text += std::string(widths[i] + 2 - width(line[i]), ' ');
    }
    text += '\n';
  }
  return text;
}

std::string value_text(const wire::Map& value) {
  if (value.is_null()) return "-";
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_string()) return local_time(value);
  return json_text(value);
}

void flatten(const wire::Map& object, const std::string& prefix, std::string& out) {
  for (const auto& [key, value] : object.items()) {
    const std::string name = prefix + printable(key);
    if (value.is_object() && !value.empty()) {
      flatten(value, name + ".", out);
    } else {
      out += name + ": " + printable(value_text(value)) + "\n";
    }
  }
}

}  // namespace

void Listing::add(std::vector<std::string> cells, std::string name, wire::Map&& object) {
  rows.push_back(std::move(cells));
  names.push_back(std::move(name));
  objects.push_back(std::move(object));
}

std::string format_listing(const Listing& listing, Format format, Cells cells) {
  std::string text;
  switch (format) {
    case Format::kTable:
    case Format::kWide:
      if (listing.rows.empty()) return {};
      return format_table(listing, format, format == Format::kWide ? Cells::kWhole : cells);
    case Format::kJson:
      for (const wire::Map& object : listing.objects)
        text += (text.empty() ? "[" : ",") + json_text(object);
      return (text.empty() ? "[" : text) + "]\n";
    case Format::kJsonl:
      for (const wire::Map& object : listing.objects) text += json_text(object) + "\n";
      return text;
    case Format::kName:
      for (const std::string& name : listing.names) text += printable(name) + "\n";
      return text;
  }
  return text;
}

std::string format_object(const wire::Map& object, Format format) {
  if (format == Format::kJson || format == Format::kJsonl) return json_text(object) + "\n";
  std::string text;
  flatten(object, "", text);
  return text;
}

int print_listing(const Globals& globals, const Listing& listing) {
  const bool is_table = globals.format == Format::kTable || globals.format == Format::kWide;
  if (is_table && listing.rows.empty() && !listing.nothing.empty()) {
    print_notice(globals, listing.nothing);
  }
  const Cells cells = ::isatty(STDOUT_FILENO) == 1 ? Cells::kCut : Cells::kWhole;
  return print_out(format_listing(listing, globals.format, cells));
}

int print_object(const Globals& globals, const wire::Map& object) {
  return print_out(format_object(object, globals.format));
}

std::string json_text(const wire::Map& value) {
  static const bool is_terminal = ::isatty(STDOUT_FILENO) == 1;
  return value.dump(-1, ' ', is_terminal, wire::Map::error_handler_t::replace);
}

std::string local_time(const wire::Map& value) {
  if (!value.is_string()) return "-";
  const std::string& text = value.get_ref<const std::string&>();
  struct tm utc{};
  // The tables' own form only; anything else is not a time of ours.
  if (text.size() < 20 || text.back() != 'Z') return text;
  const char* rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &utc);
  if (rest == nullptr || (*rest != '.' && *rest != 'Z')) return text;
  const time_t seconds = ::timegm(&utc);
  struct tm local{};
  char shown[32];
  if (::localtime_r(&seconds, &local) == nullptr ||
      std::strftime(shown, sizeof shown, "%Y-%m-%d %H:%M:%S", &local) == 0) {
    return text;
  }
  return shown;
}

std::string local_time(WallTime time, const char* format) {
  const time_t seconds = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  struct tm local{};
  char shown[32];
  if (::localtime_r(&seconds, &local) == nullptr) return {};
  const std::size_t size = std::strftime(shown, sizeof shown, format, &local);
  return std::string(shown, size);
}

std::string cell(const wire::Map& map, std::string_view key) {
  const auto at = map.find(key);
  if (at == map.end()) return "-";
  const std::string text = value_text(*at);
  return text.empty() ? "-" : text;
}

}  // namespace rexec::cli
