// Output with its times: whatever the frames cut, bytes and times come out as they went in.
#include "src/wire/timed.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace rexec;
using namespace rexec::wire;

namespace {

std::string piece(std::uint64_t time_ms, std::string_view text) {
  std::string out(kTimedHeader, '\0');
  store_timed_header(reinterpret_cast<std::uint8_t*>(out.data()), time_ms, text.size());
  return out.append(text);
}

// "time:text" of each part, neighbours of one time joined.
std::vector<std::string> read(std::string_view stream, std::size_t cut) {
  TimedPieces pieces;
  std::vector<std::string> out;
  std::string last;
  for (std::size_t at = 0; at < stream.size(); at += cut) {
    ByteSpan bytes = as_bytes(stream.substr(at, cut));
    while (const auto part = pieces.next(bytes)) {
      const std::string time = std::to_string(part->written.time_since_epoch().count());
      if (time == last && !out.empty()) {
        out.back().append(as_text(part->bytes));
      } else {
        out.push_back(time + ":" + std::string(as_text(part->bytes)));
      }
      last = time;
    }
    CHECK(bytes.empty());
  }
  return out;
}

}  // namespace

TEST_CASE("timed: frames may be cut anywhere, each byte keeps its time") {
  const std::string stream = piece(1000, "one\n") + piece(2000, "") + piece(3000, "two") +
                             piece(3000, "\n") + piece(4000, std::string(300, 'x'));
  const std::vector<std::string> wanted{"1000:one\n", "3000:two\n",
                                        "4000:" + std::string(300, 'x')};
  for (std::size_t cut = 1; cut <= stream.size(); ++cut) CHECK(read(stream, cut) == wanted);
}

TEST_CASE("timed: a time that no date has is the last that one has") {
  const auto parts = read(piece(~std::uint64_t{0}, "x"), 64);
  REQUIRE(parts.size() == 1);
  CHECK(parts[0] == "253402300799999:x");
  CHECK(to_iso8601(WallTime(Millis(253'402'300'799'999))) == "9999-12-31T23:59:59.999Z");
}

TEST_CASE("timed: a length of 4 GiB allocates nothing and takes what comes") {
  TimedPieces pieces;
  std::string header(kTimedHeader, '\0');
  store_timed_header(reinterpret_cast<std::uint8_t*>(header.data()), 5, 0xFFFFFFFF);
  ByteSpan bytes = as_bytes(header);
  CHECK_FALSE(pieces.next(bytes));
  ByteSpan more = as_bytes("abc");
  const auto part = pieces.next(more);
  REQUIRE(part);
  CHECK(as_text(part->bytes) == "abc");
}
