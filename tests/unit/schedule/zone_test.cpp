// Time zones: damaged files, the rule in the footer, names, and a machine without the database.
#include "src/schedule/zone.hpp"

#include <doctest/doctest.h>

#include <string>

#include "src/base/file.hpp"
#include "src/schedule/zone_files.hpp"

using namespace rexec;
using namespace rexec::schedule;
using namespace std::chrono;

static sys_seconds utc(int y, unsigned mo, unsigned d, int h = 0, int mi = 0) {
  return sys_days(year{y} / month{mo} / day{d}) + hours{h} + minutes{mi};
}

TEST_CASE("zone: the table and, beyond it, the rule give the offset and its ends") {
  ZoneFiles files;
  const auto rome = files.find("Europe/Rome");
  REQUIRE(rome);
  for (const int y : {2026, 2036, 2037, 2038, 2039, 2100, 2400}) {
    CAPTURE(y);
    const Piece winter = (*rome)->at(utc(y, 1, 15));
    CHECK(winter.offset == 1h);
    CHECK(winter.before == 2h);
    const Piece summer = (*rome)->at(utc(y, 7, 1));
    CHECK(summer.offset == 2h);
    CHECK(summer.before == 1h);
    CHECK(summer.begin == winter.end);
    const sys_days change = year{y} / March / Sunday[last];
    CHECK(summer.begin == change + 1h);
    CHECK((*rome)->at(summer.begin).begin == summer.begin);
    CHECK((*rome)->at(summer.begin - 1s).end == summer.begin);
    CHECK((*rome)->at(summer.end).offset == 1h);
  }
}

TEST_CASE("zone: Lord Howe moves by half an hour, in the year 2050 too") {
  ZoneFiles files;
  const auto zone = files.find("Australia/Lord_Howe");
  REQUIRE(zone);
  CHECK((*zone)->at(utc(2050, 1, 1)).offset == 11h);
  CHECK((*zone)->at(utc(2050, 7, 1)).offset == 10h + 30min);
  CHECK((*zone)->at(utc(2050, 7, 1)).before == 11h);
}

TEST_CASE("zone: UTC is one piece and needs no file") {
  ZoneFiles none("/dev/null/zoneinfo");
  const auto zone = none.find("UTC");
  REQUIRE(zone);
  CHECK((*zone)->at(utc(2026, 1, 1)).offset == 0s);
  CHECK((*zone)->at(utc(2026, 1, 1)).end == sys_seconds::max());
}

TEST_CASE("zone: without a tz database the error names the package") {
  ZoneFiles none("/dev/null/zoneinfo");
  const auto zone = none.find("Europe/Rome");
  REQUIRE_FALSE(zone);
  CHECK(zone.error().code == Code::kConfig);
  CHECK(zone.error().hint.find("tzdata") != std::string::npos);
}

TEST_CASE("zone: a mistyped name is answered with the nearest one") {
  ZoneFiles files;
  const auto zone = files.find("Europe/Roma");
  REQUIRE_FALSE(zone);
  CHECK(zone.error().code == Code::kUsage);
  CHECK(zone.error().hint.find("did you mean: Europe/Rome?") != std::string::npos);
}

TEST_CASE("zone: a name cannot lead out of the database") {
  ZoneFiles files;
  for (const char* name : {"", "../../../etc/passwd", "/etc/passwd", "Europe/../../x", ".", "a b",
                           "\x1b[31m", "Europe", "zone.tab", "Europe/Rome\n"}) {
    CAPTURE(name);
    const auto zone = files.find(name);
    REQUIRE_FALSE(zone);
    CHECK(zone.error().message.find('\x1b') == std::string::npos);
  }
}

TEST_CASE("zone: every cut of a file is refused or a zone, never a crash") {
  const auto bytes = read_file("/usr/share/zoneinfo/Europe/Rome");
  REQUIRE(bytes);
  std::size_t refused = 0;
  for (std::size_t n = 0; n < bytes->size(); ++n)
    if (!Zone::parse(as_bytes(bytes->substr(0, n)))) ++refused;
  CHECK(refused == bytes->size());
  CHECK(Zone::parse(as_bytes(*bytes)));
}

TEST_CASE("zone rule: the forms that POSIX and RFC 9636 allow") {
  const auto plain = parse_zone_rule("<+0330>-3:30");
  REQUIRE(plain);
  CHECK(plain->standard == 3h + 30min);
  CHECK_FALSE(plain->summer);
  const auto rome = parse_zone_rule("CET-1CEST,M3.5.0,M10.5.0/3");
  REQUIRE(rome);
  const auto changes = changes_of_year(*rome, 2026y);
  REQUIRE(changes.size() == 2);
  CHECK(changes[0].at == utc(2026, 3, 29, 1));
  CHECK(changes[0].offset == 2h);
  CHECK(changes[1].at == utc(2026, 10, 25, 1));
  // South of the equator the year begins in summer time; times may lie outside the day.
  const auto south = parse_zone_rule("<-03>3<-02>,J60/-2,300/26");
  REQUIRE(south);
  const auto moved = changes_of_year(*south, 2028y);
  CHECK(moved[0].at == utc(2028, 3, 1) - 2h + 3h);
  CHECK(moved[1].at == utc(2028, 1, 1) + days{300} + 26h + 2h);
}

TEST_CASE("zone rule: other text is refused") {
  for (const char* text :
       {"", "CET", "CE-1", "CET-1CEST", "CET-1CEST,M3.5.0", "CET-25", "CET-1CEST,M13.5.0,M10.5.0",
        "CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,J0,J9",
        "CET-1CEST,M3.5.0,M10.5.0x", "<CET-1", "CET-1CEST,999,1", "CET-1CEST,M3.5.0/168,M10.5.0"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_zone_rule(text));
  }
}
