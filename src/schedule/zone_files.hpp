// Named zones from the system's tz database, read once each. UTC needs no database. Called by
// time_rule.* for whoever makes a rule: the controller, and the client's dry run there.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "src/schedule/zone.hpp"

namespace rexec::schedule {

inline constexpr const char* kZoneFolder = "/usr/share/zoneinfo";

class ZoneFiles {
 public:
  explicit ZoneFiles(std::string folder = kZoneFolder) : folder_(std::move(folder)) {}
  // "Europe/Rome". kUsage with a did-you-mean for a name that is not there; kConfig, naming the
  // package, when the machine has no tz database at all.
  Result<std::shared_ptr<const Zone>> find(std::string_view name);

 private:
  Result<Zone> load(const std::string& name) const;
  std::unexpected<Error> unknown(const std::string& name) const;

  std::string folder_;
  std::map<std::string, std::shared_ptr<const Zone>, std::less<>> known_;
};

}  // namespace rexec::schedule
