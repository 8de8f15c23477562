// A whole rule, kind, zone file and instant from the input: firings go forward, and a zone file
// from anywhere is a zone or an error.
#include <string>

#include "src/base/check.hpp"
#include "src/schedule/firing.hpp"

using namespace rexec;
using namespace rexec::schedule;

static void check_zone(std::string_view bytes) {
  const auto zone = Zone::parse(as_bytes(bytes));
  if (!zone) return;
  sys_seconds at{std::chrono::seconds{946'684'800}};
  for (int i = 0; i < 50; ++i) {
    const Piece piece = zone->at(at);
    check(piece.begin <= at, "a piece holds its instant");
    check(at < piece.end, "and ends later");
    if (piece.end == sys_seconds::max() || piece.end > at + std::chrono::days{36'500}) return;
    at = piece.end;
  }
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 6) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 6, size - 6);
  if (data[0] > 3) {
    check_zone(std::string_view(reinterpret_cast<const char*>(data), size));
    (void)parse_zone_rule(rest);
    return 0;
  }
  static ZoneFiles files;
  static constexpr const char* kZones[] = {"UTC", "Europe/Rome", "Australia/Lord_Howe",
                                           "America/New_York"};
  const auto kind = static_cast<RuleKind>(data[0] % 3);
  const auto rule = TimeRule::make({kind, std::string(rest), kZones[data[1] & 3], {}}, files);
  if (!rule) return 0;
  const WallTime from{std::chrono::seconds{load_be<std::uint32_t>(data + 2)}};
  WallTime last = from;
  for (const WallTime next : upcoming(*rule, from, 8)) {
    check(next > last, "firings go forward");
    check(rule->next(next - Millis{1}) == next, "and are found from just before");
    last = next;
  }
  return 0;
}
