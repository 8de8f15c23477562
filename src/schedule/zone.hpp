// A time zone: what its clocks show at each instant, from a compiled tz database file (TZif,
// RFC 9636) with the rule in its footer for the years beyond the table. Pure: bytes in, pieces out.
// Where the files are is zone_files.*'s business.
//
// Debian's library for this has no static archive, and libstdc++ 12 has no tz database.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>
#include <vector>

#include "src/base/bytes.hpp"
#include "src/base/error.hpp"
#include "src/schedule/zone_rule.hpp"

namespace rexec::schedule {

using std::chrono::seconds;
using std::chrono::sys_seconds;

inline constexpr std::size_t kMaxZoneFile = 256 << 10;

// A stretch of time with one offset: begin <= t < end, clocks show t + offset. Neighbours differ.
struct Piece {
  sys_seconds begin = sys_seconds::min();
  sys_seconds end = sys_seconds::max();
  seconds offset{0};
  seconds before{0};  // the offset of the piece that ends at `begin`; the same as offset if none
};

class Zone {
 public:
  // UTC, which needs no file.
  Zone() = default;
  // kUsage when the bytes are no TZif file of version 2 or later, whatever they are.
  static Result<Zone> parse(ByteSpan bytes);
  // The piece an instant lies in. Instants of the years 1 to 9999.
  Piece at(sys_seconds time) const;

 private:
  Piece in_table(std::size_t index) const;

  seconds first_{0};  // before all changes
  std::vector<OffsetChange> table_;
  std::optional<ZoneRule> rule_;  // after the last of them
};

}  // namespace rexec::schedule
