// A zone's name is a path below the folder, so what could lead out of it is refused before a file
// is opened.
#include "src/schedule/zone_files.hpp"

#include <unistd.h>

#include <algorithm>

#include "src/base/file.hpp"
#include "src/base/text.hpp"

namespace rexec::schedule {
namespace {

constexpr std::size_t kMaxName = 64;
constexpr std::size_t kMaxKnown = 1024;

bool is_zone_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxName || name.find("..") != std::string_view::npos ||
      name.front() == '/' || name.front() == '.')
    return false;
  return std::ranges::all_of(name, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '/' ||
           c == '_' || c == '-' || c == '+' || c == '.';
  });
}

bool is_utc(std::string_view name) {
  return name == "UTC" || name == "Etc/UTC" || name == "Z" || name == "utc";
}

// The names in zone.tab, the third of its columns.
std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  const auto table = read_file(folder + "/zone.tab");
  if (!table) return names;
  for (const std::string& line : split(*table, '\n')) {
    const auto columns = split(line, '\t');
    if (!line.starts_with('#') && columns.size() >= 3) names.push_back(columns[2]);
  }
  return names;
}

}  // namespace

Result<std::shared_ptr<const Zone>> ZoneFiles::find(std::string_view name) {
  if (const auto known = known_.find(name); known != known_.end()) return known->second;
  const std::string key(name);
  std::shared_ptr<const Zone> zone;
  if (is_utc(name)) {
    zone = std::make_shared<const Zone>();
  } else {
    auto loaded = load(key);
    if (!loaded) return std::unexpected(loaded.error());
    zone = std::make_shared<const Zone>(std::move(*loaded));
  }
  if (known_.size() >= kMaxKnown) known_.clear();
  known_[key] = zone;
  return zone;
}

Result<Zone> ZoneFiles::load(const std::string& name) const {
  if (!is_zone_name(name))
    return fail(Code::kUsage, "\"" + printable(name.substr(0, kMaxName)) + "\" is no time zone",
                "write a name such as Europe/Rome, or UTC");
  if (::access(folder_.c_str(), F_OK) != 0)
    return fail(
        Code::kConfig,
        "the time zone \"" + name + "\" needs the tz database, and " + folder_ + " is not there",
        "on the controller's machine: apt-get install tzdata (UTC works without it)");
  const auto bytes = read_file(folder_ + "/" + name, kMaxZoneFile);
  if (!bytes) return unknown(name);
  auto zone = Zone::parse(as_bytes(*bytes));
  if (!zone)
    return fail(Code::kUsage, folder_ + "/" + name + " " + zone.error().message,
                "write a name such as Europe/Rome, or UTC");
  return zone;
}

std::unexpected<Error> ZoneFiles::unknown(const std::string& name) const {
  std::string hint = did_you_mean(name, names_in(folder_));
  if (!hint.empty()) hint += "\n";
  return fail(Code::kUsage, "there is no time zone \"" + name + "\" in " + folder_,
              hint + "names are as in Europe/Rome, see: timedatectl list-timezones");
}

}  // namespace rexec::schedule
