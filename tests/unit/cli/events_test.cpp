#include "cli/run/events.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "src/base/text.hpp"

using namespace rexec;
using namespace rexec::cli;

namespace {

std::vector<wire::Map> parse_lines(const std::string& text) {
  std::vector<wire::Map> events;
  for (const std::string& line : split(text, '\n')) {
    if (!line.empty()) events.push_back(wire::Map::parse(line));
  }
  return events;
}

}  // namespace

TEST_CASE("events: one object a line, numbered, with node and job") {
  JobEvents job("n1", "j-x");
  std::string text = job.start();
  text += job.bytes("out", as_bytes("a\nb"));
  text += job.state("reconnecting");
  text += job.end({{"outcome", "exited"}, {"code", 3}});
  const auto events = parse_lines(text);
  REQUIRE(events.size() == 4);
  for (std::size_t i = 0; i < events.size(); ++i) {
    CHECK(events[i]["v"] == 1);
    CHECK(events[i]["node"] == "n1");
    CHECK(events[i]["job"] == "j-x");
    CHECK(events[i]["seq"] == i + 1);
  }
  CHECK(events[0]["t"] == "start");
  CHECK(events[1]["t"] == "out");
  CHECK(events[1]["data"] == "a\nb");
  CHECK(events[2]["state"] == "reconnecting");
  CHECK(events[3]["t"] == "end");
  CHECK(events[3]["code"] == 3);
}

TEST_CASE("events: a character that is cut between chunks is put together") {
  const std::string text = "a€😀ü";
  for (std::size_t piece = 1; piece < text.size(); ++piece) {
    JobEvents job("n", "j");
    std::string lines;
    for (std::size_t at = 0; at < text.size(); at += piece) {
      lines += job.bytes("out", as_bytes(std::string_view(text).substr(at, piece)));
    }
    lines += job.end(wire::Map::object());
    std::string joined;
    for (const wire::Map& event : parse_lines(lines)) {
      CHECK_FALSE(event.contains("base64"));
      if (event["t"] != "out") continue;
      CHECK(event["offset"] == joined.size());
      joined += event["data"].get<std::string>();
    }
    CHECK(joined == text);
  }
}

TEST_CASE("events: bytes that are no text are base64 and not lost at the end") {
  JobEvents job("n", "j");
  const auto first = parse_lines(job.bytes("err", as_bytes("\xff\xfe")));
  REQUIRE(first.size() == 1);
  CHECK(first[0]["base64"] == "//4=");
  CHECK(job.bytes("err", as_bytes("\xe2\x82")).empty());
  const auto rest = parse_lines(job.end(wire::Map::object()));
  REQUIRE(rest.size() == 2);
  CHECK(rest[0]["base64"] == "4oI=");
  CHECK(rest[0]["offset"] == 2);
}

TEST_CASE("events: output has the time of its first byte, where it is known") {
  const auto at = [](std::int64_t ms) { return WallTime(Millis(ms)); };
  JobEvents job("n", "j");
  std::string text = job.bytes("out", as_bytes("a\xe2\x82"), at(1'500));
  text += job.bytes("out", as_bytes("\xac"), at(2'500));
  text += job.bytes("out", as_bytes("\xc3"), at(3'500));
  text += job.bytes("err", as_bytes("e"));
  text += job.end(wire::Map::object());
  const auto events = parse_lines(text);
  REQUIRE(events.size() == 5);
  CHECK(events[0]["time"] == "1970-01-01T00:00:01.500Z");
  CHECK(events[1]["data"] == "\xe2\x82\xac");
  CHECK(events[1]["time"] == "1970-01-01T00:00:01.500Z");
  CHECK_FALSE(events[2].contains("time"));
  CHECK(events[3]["base64"] == "ww==");
  CHECK(events[3]["time"] == "1970-01-01T00:00:03.500Z");
}

TEST_CASE("events: base64 as in RFC 4648") {
  const std::pair<const char*, const char*> rows[] = {{"", ""},
                                                      {"f", "Zg=="},
                                                      {"fo", "Zm8="},
                                                      {"foo", "Zm9v"},
                                                      {"foob", "Zm9vYg=="},
                                                      {"fooba", "Zm9vYmE="},
                                                      {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : rows) CHECK(to_base64(plain) == encoded);
}

TEST_CASE("events: the summary is marked as such") {
  const auto events = parse_lines(summary_line({{"code", 123}}));
  REQUIRE(events.size() == 1);
  CHECK(events[0]["t"] == "summary");
  CHECK(events[0]["v"] == 1);
}
