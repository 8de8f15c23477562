#include "cli/line/listing.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <ctime>
#include <string>

#include "cli/line/errors.hpp"

using namespace rexec;
using namespace rexec::cli;

namespace {

Listing two_nodes() {
  Listing listing;
  listing.headings = {{"NODE"}, {"STATE"}, {"ID", Column::kWide}};
  listing.add({"n1", "online", "n-1"}, "n1", {{"name", "n1"}});
  listing.add({"node\x1b[2J2", "offline", "n-2"}, "node\x1b[2J2", {{"name", "node\x1b[2J2"}});
  return listing;
}

struct Zone {
  explicit Zone(const char* name) {
    ::setenv("TZ", name, 1);
    ::tzset();
  }
  ~Zone() {
    ::unsetenv("TZ");
    ::tzset();
  }
};

}  // namespace

TEST_CASE("listing: a table is aligned, escaped, and hides wide columns") {
  CHECK(format_listing(two_nodes(), Format::kTable) ==
        "NODE          STATE\n"
        "n1            online\n"
        "node\\x1b[2J2  offline\n");
  CHECK(format_listing(two_nodes(), Format::kWide).starts_with("NODE          STATE    ID\n"));
}

TEST_CASE("listing: json is one array, jsonl a line each, name only the names") {
  CHECK(format_listing(two_nodes(), Format::kJson) ==
        "[{\"name\":\"n1\"},{\"name\":\"node\\u001b[2J2\"}]\n");
  CHECK(format_listing(two_nodes(), Format::kJsonl) ==
        "{\"name\":\"n1\"}\n{\"name\":\"node\\u001b[2J2\"}\n");
  CHECK(format_listing(two_nodes(), Format::kName) == "n1\nnode\\x1b[2J2\n");
}

TEST_CASE("listing: nothing is no table, an empty array, no lines") {
  CHECK(format_listing(Listing{}, Format::kTable).empty());
  CHECK(format_listing(Listing{}, Format::kJson) == "[]\n");
  CHECK(format_listing(Listing{}, Format::kJsonl).empty());
}

TEST_CASE("listing: a long cell is cut in the narrow table and never inside a character") {
  Listing listing;
  listing.headings = {{"COMMAND"}};
  std::string text;
  for (int i = 0; i < 100; ++i) text += "ü";
  listing.add({text}, "x", wire::Map::object());
  const std::string narrow = format_listing(listing, Format::kTable);
  CHECK(narrow.find("ü…\n") != std::string::npos);
  CHECK(narrow.find("\\x") == std::string::npos);
  CHECK(format_listing(listing, Format::kWide).find(text) != std::string::npos);
}

TEST_CASE("listing: tables show local time, JSON keeps UTC") {
  const Zone zone("EST5");
  CHECK(local_time(wire::Map("2026-11-21T01:02:03.456Z")) == "2026-11-20 20:02:03");
  CHECK(local_time(wire::Map("2026-11-21T01:02:03Z")) == "2026-11-20 20:02:03");
  CHECK(local_time(wire::Map("tomorrow")) == "tomorrow");
  CHECK(local_time(wire::Map(nullptr)) == "-");
  const wire::Map object{{"at", "2026-11-21T01:02:03.456Z"}};
  CHECK(format_object(object, Format::kTable) == "at: 2026-11-20 20:02:03\n");
  CHECK(format_object(object, Format::kJson) == "{\"at\":\"2026-11-21T01:02:03.456Z\"}\n");
}

TEST_CASE("listing: an object is flattened to key: value lines") {
  const wire::Map object{{"nodes", {{"online", 2}, {"total", 3}}}, {"low", false}, {"x", nullptr}};
  CHECK(format_object(object, Format::kTable) ==
        "low: no\nnodes.online: 2\nnodes.total: 3\nx: -\n");
}

TEST_CASE("errors: what, where, why on one line, each hint on its own") {
  const Error error{Code::kUnknownNode, "node \"nod42\" is not known to controller prod",
                    "did you mean: node42?\nsee: rexec node ls"};
  CHECK(error_text(error) ==
        "rexec: node \"nod42\" is not known to controller prod\n"
        "  did you mean: node42?\n"
        "  see: rexec node ls\n");
  CHECK(error_text({Code::kIo, "x\x1b[1m", {}}) == "rexec: x\\x1b[1m\n");
}

TEST_CASE("errors: as JSON an object with code, message and hint") {
  const auto object = wire::Map::parse(error_json({Code::kUnknownNode, "m\xff", "h"}));
  CHECK(object["error"]["code"] == "unknown_node");
  CHECK(object["error"]["message"] == "m\\xff");
  CHECK(object["error"]["hint"] == "h");
}
