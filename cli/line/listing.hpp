// A list of objects in the five formats: table, wide, json, jsonl, name. Tables are for people
// (local time, aligned, escaped), JSON is for scripts (UTC, every field). Pure but for print_*.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/line/verbs.hpp"
#include "src/base/clock.hpp"
#include "src/wire/maps.hpp"

namespace rexec::cli {

enum class Column { kAlways, kWide };
struct Heading {
  std::string_view title;
  Column column = Column::kAlways;
};

struct Listing {
  std::vector<Heading> headings;
  std::vector<std::vector<std::string>> rows;  // one cell per heading, anything a peer sent
  std::vector<std::string> names;              // what -o name prints, one per row
  std::vector<wire::Map> objects;              // what JSON prints, one per row
  std::string_view nothing;                    // said on stderr when a table would be empty

  // Takes the object only after the cells and the name were made, which may be read from it.
  void add(std::vector<std::string> cells, std::string name, wire::Map&& object);
};

// Whether a table may cut long cells: one that a person looks at, not one that goes to a pipe.
enum class Cells { kCut, kWhole };
std::string format_listing(const Listing& listing, Format format, Cells cells = Cells::kCut);
// One object: "key: value" lines, nested keys with a dot, or JSON.
std::string format_object(const wire::Map& object, Format format);

// To stdout; the exit status.
int print_listing(const Globals& globals, const Listing& listing);
int print_object(const Globals& globals, const wire::Map& object);

// JSON for a script; on a terminal nothing but ASCII.
std::string json_text(const wire::Map& value);
// "2026-11-21 02:03:04" local for "2026-11-21T01:03:04.567Z"; other text as it is, null as "-".
std::string local_time(const wire::Map& value);
std::string local_time(WallTime time, const char* format);
// What a table shows for any value.
std::string cell(const wire::Map& map, std::string_view key);

}  // namespace rexec::cli
