// Maps: the strict reader, field by field and byte by byte.
#include "src/wire/maps.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "src/base/text.hpp"

using namespace rexec;
using namespace rexec::wire;

namespace {

std::string why(std::string_view bytes) {
  const auto map = parse_map(as_bytes(bytes));
  if (map) return "read";
  CHECK(map.error().code == Code::kProtocol);
  return map.error().message.substr(map.error().message.find(": ") + 2);
}

// {"a": <value>}
std::string with(std::string_view value) {
  return "\x81\xa1"
         "a" +
         std::string(value);
}

std::string nested_arrays(std::size_t depth) {
  return with(std::string(depth - 1, '\x91') + '\x01');
}
std::string nested_maps(std::size_t depth) {
  std::string out;
  for (std::size_t i = 0; i < depth; ++i)
    out +=
        "\x81\xa1"
        "a";
  return out + '\x01';
}

}  // namespace

TEST_CASE(
    "maps: nesting is read to 32 deep and refused beyond, however deep it goes") {  // FAULTS W17
  CHECK(why(nested_arrays(32)) == "read");
  CHECK(why(nested_maps(32)) == "read");
  for (const std::size_t depth : {33, 100, 10'000, 60'000}) {
    CHECK(why(nested_arrays(depth)) == "nested deeper than 32");
    CHECK(why(nested_maps(depth)) == "nested deeper than 32");
  }
}

TEST_CASE("maps: a value of another type or range is a typed error, never a guess") {  // FAULTS W18
  struct Row {
    std::string value;
    std::string problem;  // empty: it is 1
  };
  const std::string nan = "\xcb\x7f\xf8" + std::string(6, '\0');
  const std::string infinite = "\xcb\x7f\xf0" + std::string(6, '\0');  // what 1e999 becomes
  const std::string minus_zero = "\xcb\x80" + std::string(7, '\0');
  const std::string one_as_float = "\xcb\x3f\xf0" + std::string(6, '\0');
  const Row rows[] = {
      {"\x01", ""},
      {"\xcf" + std::string(7, '\0') + "\x01", ""},  // not the shortest form
      {std::string("\xcf\x00\x20", 3) + std::string(6, '\0'), "is too large"},  // 2^53
      {"\xcf" + std::string(8, '\xff'), "is too large"},
      {"\xff", "is not an unsigned integer"},  // -1
      {"\xd3\x80" + std::string(7, '\0'), "is not an unsigned integer"},
      {minus_zero, "is not an unsigned integer"},
      {nan, "is not an unsigned integer"},
      {infinite, "is not an unsigned integer"},
      {one_as_float, "is not an unsigned integer"},
      {"\xa1"
       "1",
       "is not an unsigned integer"},
      {"\xc3", "is not an unsigned integer"},
      {"\xc0", "is not an unsigned integer"},
      {"\x91\x01", "is not an unsigned integer"},
  };
  for (const Row& row : rows) {
    const auto map = parse_map(as_bytes(with(row.value)));
    INFO(to_hex(as_bytes(row.value)));
    REQUIRE(map.has_value());
    const auto value = get_u64(*map, "a");
    if (row.problem.empty()) {
      REQUIRE(value.has_value());
      CHECK(*value == 1);
      CHECK(u64_or(*map, "a", 7) == 1);
      CHECK(i64_or(*map, "a", 7) == 1);
    } else {
      REQUIRE_FALSE(value.has_value());
      CHECK(value.error().code == Code::kProtocol);
      CHECK(value.error().message == "field \"a\" " + row.problem);
    }
  }
}

TEST_CASE("maps: a non-negative integer in a signed form is the same number") {
  const auto map = parse_map(as_bytes(with(std::string("\xd2\x00\x00\x00\x05", 5))));
  REQUIRE(map.has_value());
  CHECK(get_u64(*map, "a").value_or(0) == 5);
  CHECK(u64_or(*map, "a", 0) == 5);
  CHECK(i64_or(*map, "a", 0) == 5);
}

TEST_CASE("maps: text is UTF-8 without NUL, bin keeps every byte") {  // FAULTS W19
  CHECK(why(with("\xa3"
                 "caf")) == "read");
  CHECK(why(with("\xa2\xc3\xa9")) == "read");
  CHECK(why(with(std::string("\xa1\x00", 2))) == "a string is not UTF-8");
  CHECK(why(with("\xa1\xff")) == "a string is not UTF-8");
  CHECK(why(with("\xa2\xc0\xaf")) == "a string is not UTF-8");      // overlong
  CHECK(why(with("\xa3\xed\xa0\x80")) == "a string is not UTF-8");  // lone surrogate
  CHECK(why("\x81\xa1\xff\x01") == "a key is not UTF-8");
  CHECK(why(std::string("\x81\xa1\x00\x01", 4)) == "a key is not UTF-8");
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  const auto map = parse_map(as_bytes(pack({{"b", bin(all)}})));
  REQUIRE(map.has_value());
  CHECK(get_bin(*map, "b").value_or("") == all);
  CHECK(bin_or(*map, "b") == all);
  CHECK_FALSE(get_text(*map, "b").has_value());
  CHECK(text_or(*map, "b", "none") == "none");
}

TEST_CASE("maps: a key that is there twice is refused, at any depth") {  // FAULTS W20
  CHECK(why("\x82\xa1"
            "a\x01\xa1"
            "a\x02") == "a key is there twice");
  CHECK(why(with("\x82\xa1"
                 "b\x01\xa1"
                 "b\x01")) == "a key is there twice");
  CHECK(why(with("\x91\x82\xa1"
                 "b\x01\xa1"
                 "b\x01")) == "a key is there twice");
  // The same name in different objects is no duplicate.
  CHECK(why("\x82\xa1"
            "a\x81\xa1"
            "a\x01\xa1"
            "b\x81\xa1"
            "a\x01") == "read");
}

TEST_CASE("maps: bytes behind the map are refused") {
  CHECK(why(pack({{"a", 1}})) == "read");
  CHECK(why(pack({{"a", 1}}) + "\x01") == "not MessagePack, or cut short");
  CHECK(why(pack({{"a", 1}}) + pack({{"a", 1}})) == "not MessagePack, or cut short");
}

TEST_CASE("maps: ext types are refused") {
  CHECK(why(with("\xd4\x05\x01")) == "ext types are not allowed");
  CHECK(why(with("\xc7\x02\x05\x01\x02")) == "ext types are not allowed");
  CHECK(why(with(std::string("\xd6\xff\x00\x00\x00\x00", 6))) == "ext types are not allowed");
}

TEST_CASE("maps: what is not a map with text keys is refused") {
  CHECK(why("") == "not MessagePack, or cut short");
  CHECK(why("\xc1") == "not MessagePack, or cut short");
  CHECK(why("\x01") == "not a map");
  CHECK(why("\x91\x01") == "not a map");
  CHECK(why("\xa1"
            "a") == "not a map");
  CHECK(why("\x81\x01\x01") == "not MessagePack, or cut short");
  CHECK(why("\x81\xc4\x01"
            "a\x01") == "not MessagePack, or cut short");
}

TEST_CASE("maps: an announced size costs nothing before its bytes are there") {
  CHECK(why("\xdf\xff\xff\xff\xff") == "not MessagePack, or cut short");
  CHECK(why(with("\xdd\xff\xff\xff\xff")) == "not MessagePack, or cut short");
  CHECK(why(with("\xdb\xff\xff\xff\xff")) == "not MessagePack, or cut short");
  CHECK(why(with("\xc6\xff\xff\xff\xff")) == "not MessagePack, or cut short");
}

TEST_CASE("maps: a map cut anywhere is refused") {
  const std::string whole = pack({{"id", 300}, {"args", {{"n", "x"}, {"b", bin("yz")}}}});
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK(why(whole.substr(0, size)) != "read");
}

TEST_CASE("maps: a missing field is named, a default stands in where one is asked for") {
  const Map map{{"n", -3}, {"t", "x"}, {"f", true}, {"o", {{"k", 1}}}};
  CHECK(get_text(map, "gone").error().message == "field \"gone\" is missing");
  CHECK(get_bool(map, "t").error().message == "field \"t\" is not a boolean");
  CHECK(get_bool(map, "f").value_or(false));
  CHECK(i64_or(map, "n", 0) == -3);
  CHECK(u64_or(map, "n", 9) == 9);
  CHECK(text_or(map, "gone", "otherwise") == "otherwise");
  CHECK(bool_or(map, "gone", true));
  CHECK(u64_or(child_or_empty(map, "o"), "k", 0) == 1);
  CHECK(child_or_empty(map, "t").empty());
  CHECK(i64_or({{"n", std::numeric_limits<std::uint64_t>::max()}}, "n", 4) == 4);
}

TEST_CASE("maps: an error that quotes any bytes stays readable for the strict reader") {
  const std::string odd("a\xff\0b\n\x1b[31m", 10);
  const Error error{Code::kUnknownNode, odd, odd + "\nsecond line"};
  const auto map = parse_map(as_bytes(pack(error_to_map(error))));
  REQUIRE(map.has_value());
  const Error back = error_from_map(*map);
  CHECK(back.code == Code::kUnknownNode);
  CHECK(back.message == "a\\xff\\x00b\\n\\x1b[31m");
  CHECK(back.hint == "a\\xff\\x00b\n\\x1b[31m\nsecond line");
}

TEST_CASE("maps: the longest error fits into a frame of 4 KiB") {
  const Error error{Code::kUsage, std::string(100'000, '\xff'), std::string(100'000, '\n')};
  CHECK(pack(error_to_map(error)).size() <= 4096);
  const Error accents{Code::kUsage, "x" + std::string(2047, 'y') + "\xc3\xa9\xc3\xa9", ""};
  CHECK(parse_map(as_bytes(pack(error_to_map(accents)))).has_value());
}

TEST_CASE("maps: a peer's error is shown without its control bytes, and never at any length") {
  const Error error = error_from_map({{"code", "no_such_code"},
                                      {"message", "x\x1b]0;owned\x07" + std::string(9'000, 'm')},
                                      {"hint", std::string(9'000, '\x01')}});
  CHECK(error.code == Code::kInternal);
  CHECK(error.message.starts_with("x\\x1b]0;owned\\x07mm"));
  CHECK(error.message.size() <= 4096);
  CHECK(error.hint.size() <= 4096);
  CHECK(is_utf8(error.hint));
  CHECK(error_from_map(Map::object()).message == "no reason given");
  CHECK(error_from_map({{"message", 5}, {"hint", Map::array()}}).message == "no reason given");
}

TEST_CASE("maps: whatever is packed can be read: one bad text does not cost the message") {
  Map deep = "core";
  for (int i = 0; i < 100; ++i) deep = Map{{"in", deep}};
  const Map bad{
      {"cut", "a\xC3"},        {"nul", std::string("a\0b", 3)},        {"key", {{"k\xFF", 1}}},
      {"deep", deep},          {"none", Map(Map::value_t::discarded)}, {"good", "\xC3\xA9"},
      {"list", {1, "\xFE", 2}}};
  const auto read = parse_map(as_bytes(pack(bad)));
  REQUIRE(read);
  CHECK(read->at("cut") == "a\\xc3");
  CHECK(read->at("nul") == "a\\x00b");
  CHECK(read->at("key").contains("k\\xff"));
  CHECK(read->at("none").is_null());
  CHECK(read->at("good") == "\xC3\xA9");
  CHECK(read->at("list") == Map{1, "\\xfe", 2});
}

TEST_CASE("maps: what is packed for a place inside a message is as strict there") {
  Map deep = "text";
  for (int level = 0; level < 100; ++level) deep = Map{{"in", std::move(deep)}};
  for (const Map& map : {deep, Map{{"bad", "\xff"}}, Map{{"n", 1}}}) {
    const Map whole{{"id", 7}, {"result", map}};
    std::string parts = pack(Map{{"id", 7}});
    parts.front() = '\x82';
    parts += pack(Map("result"), 1) + pack(map, 1);
    CHECK(parts == pack(whole));
    CHECK(parse_map(as_bytes(parts)));
  }
}
