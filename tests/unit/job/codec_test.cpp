#include <doctest/doctest.h>

#include "src/job/ipc/link.hpp"
#include "src/job/spec/digest.hpp"
#include "src/job/spec/record.hpp"
#include "src/job/spec/spec.hpp"
#include "src/job/spool/crc32c.hpp"
#include "src/wire/maps.hpp"

namespace rexec::job {
namespace {

JobSpec full_spec() {
  JobSpec spec;
  spec.argv = {"/bin/printf", std::string("\xff\x01 raw\n"), ""};
  spec.env = {{"A", "1"}, {"B", "\xfe=x"}, {"A", "2"}};
  spec.workdir = "/tmp/\xc3\x28";
  spec.user = "ann";
  spec.group = "adm";
  spec.forward_stdin = true;
  spec.tty = TtySpec{50, 200, "vt100", std::string("\x01\0\0\0\x07\0", 6)};
  spec.timeout_ms = 1500;
  spec.grace_ms = 10;
  spec.on_disconnect = OnDisconnect::kStopAfter;
  spec.on_disconnect_ms = 600000;
  spec.children = Children::kWait;
  spec.privileges = Privileges::kKeep;
  spec.script = std::string("#!/bin/sh\necho \0 x", 18);
  spec.sha256 = true;
  spec.durable = true;
  spec.output_quota = 2u << 20;
  spec.cpu_milli = 500;
  spec.memory_bytes = 1u << 30;
  spec.pids = 256;
  return spec;
}

TEST_CASE("spec: every field comes back as it went, bytes that are not UTF-8 included") {
  const auto bytes = encode_spec(full_spec());
  REQUIRE(bytes);
  const auto back = decode_spec(as_bytes(*bytes));
  REQUIRE(back);
  CHECK(*back == full_spec());
}

TEST_CASE("spec: unknown keys are ignored and missing ones take their default") {
  const auto bytes = wire::pack({{"argv", {wire::bin("true")}}, {"new_field", {1, 2}}});
  const auto back = decode_spec(as_bytes(bytes));
  REQUIRE(back);
  CHECK(back->grace_ms == 5000);
  CHECK(back->children == Children::kKill);
  CHECK(!back->tty);
}

TEST_CASE("spec: what cannot be executed or is malformed is refused") {
  const auto refused = [](const wire::Map& map) { return !decode_spec(as_bytes(wire::pack(map))); };
  CHECK(refused({{"argv", wire::Map::array()}}));
  CHECK(refused({{"argv", {wire::bin("")}}}));
  CHECK(refused({{"argv", {wire::bin(std::string_view("a\0b", 3))}}}));
  CHECK(refused({{"argv", "true"}}));
  CHECK(refused({{"argv", {1}}}));
  CHECK(refused({{"argv", {"a"}}, {"env", {"A"}}}));
  CHECK(refused({{"argv", {"a"}}, {"env", {"A=B", "x"}}}));
  CHECK(refused({{"argv", {"a"}}, {"children", "adopt"}}));
  CHECK(refused({{"argv", {"a"}}, {"timeout_ms", -1}}));
  CHECK(refused({{"argv", {"a"}}, {"tty", {{"rows", 70000}}}}));
  CHECK(refused({{"argv", {"a"}}, {"tty", {{"modes", wire::bin("\x01x")}}}}));
  CHECK(refused({{"argv", {"a"}}, {"tty", {{"modes", wire::bin(std::string(2'000, 1))}}}}));
  CHECK(refused({{"argv", {"a"}}, {"output_quota", 1}}));
  CHECK(!decode_spec(as_bytes("\xc1")));
  const auto whole = *encode_spec(full_spec());
  for (std::size_t n = 0; n < whole.size(); ++n)
    CHECK(!decode_spec(as_bytes(std::string_view(whole).substr(0, n))));
}

TEST_CASE("spec: more than 4 MiB is refused by size on both sides") {
  JobSpec spec;
  spec.argv = {std::string(kMaxSpecBytes, 'x')};
  CHECK(encode_spec(spec).error().code == Code::kLimit);
  CHECK(decode_spec(Buffer(kMaxSpecBytes + 1)).error().code == Code::kLimit);
}

TEST_CASE("record: JSON carries every field, and text for people stays printable") {
  EndRecord record;
  record.node = "node42";
  record.key = {JobId{"j-0123456789ab"}, 3};
  record.outcome = Outcome::kSignaled;
  record.code = 137;
  record.signal = 9;
  record.oom = true;
  record.bytes = {1, 2};
  record.xxh128 = {"aa", "bb"};
  record.sha256 = {"cc", "dd"};
  record.complete = true;
  record.reason = "oom";
  record.message = "say \"hi\"";
  record.wall_s = 1.5;
  record.cpu_s = 0.25;
  record.max_rss = 4096;
  record.left_behind = 2;
  record.dropped = {7, 8};
  record.started_ms = 1000;
  record.ended_ms = 2500;
  record.given_up = GivenUp::kRoom;
  record.given_up_ms = 3000;
  const auto back = record_from_json(to_json(record));
  REQUIRE(back);
  CHECK(*back == record);
  record.message = "a\x1b[2J\n\xff";
  CHECK(to_json(record).find('\x1b') == std::string::npos);
  CHECK(record_from_json(to_json(record)));
}

TEST_CASE("record: what is not a record is refused") {
  CHECK(!record_from_json("{}"));
  CHECK(!record_from_json("[]"));
  CHECK(!record_from_json(R"({"job":"j-0123456789ab","outcome":"won","code":0})"));
  CHECK(!record_from_json(R"({"job":"../../etc","outcome":"exited","code":0})"));
  CHECK(!record_from_json(R"({"job":"j-0123456789ab","outcome":"exited","code":256})"));
  CHECK(
      record_from_json(R"({"job":"j-0123456789ab","outcome":"exited","code":0,"bytes":{"out":-1}})")
          ->bytes.out == 0);
}

template <class Variant, class Decode>
void round_trip(const Variant& message, Decode decode) {
  const std::string bytes = link::encode(message);
  const auto back = decode(as_bytes(bytes));
  REQUIRE(back);
  CHECK(back->index() == message.index());
  CHECK(link::encode(*back) == bytes);
  for (std::size_t n = 0; n < bytes.size(); ++n)
    CHECK(!decode(as_bytes(std::string_view(bytes).substr(0, n))));
  CHECK(!decode(as_bytes(bytes + "x")));
}

TEST_CASE("link: every message comes back as it went; shorter or longer is malformed") {
  const AttemptKey key{JobId{"j-0123456789ab"}, 2};
  const link::Meta meta{"ticket", "u-0123456789ab", 99};
  using namespace link;
  for (const ToSpawner& m :
       {ToSpawner{Start{key, "t", "o", true}}, ToSpawner{Open{key}}, ToSpawner{Reported{key}},
        ToSpawner{Remove{key}}, ToSpawner{Resync{}}, ToSpawner{Halt{key}}, ToSpawner{TellAll{}}})
    round_trip(m, decode_to_spawner);
  for (const FromSpawner& m :
       {FromSpawner{ShimChannel{key, meta, 7, 8, 2}}, FromSpawner{Finished{key, meta, "{}", true}},
        FromSpawner{Refused{key, "denied", "no"}}, FromSpawner{SyncDone{}}})
    round_trip(m, decode_from_spawner);
  for (const FromShim& m :
       {FromShim{State{1, 2, 3, 4, 5, true, false, 6, 7}}, FromShim{Segment{1, 2, 3, 4}},
        FromShim{Output{1, 2, 3}}, FromShim{StdinAck{1, 2}}, FromShim{Started{1, 2}},
        FromShim{Exited{1, 2}}, FromShim{End{"{}"}}, FromShim{Held{28, 1}}})
    round_trip(m, decode_from_shim);
  for (const ToShim& m :
       {ToShim{Stdin{5, as_bytes("abc")}}, ToShim{StdinEof{1}}, ToShim{Signal{2}}, ToShim{Stop{3}},
        ToShim{Resize{4, 5}}, ToShim{CloseOutput{Channel::kErr}}, ToShim{Readers{1}},
        ToShim{Readers{0, Gone::kEnded}}, ToShim{Read{1, kNoReader, 5}}, ToShim{Leave{}}})
    round_trip(m, decode_to_shim);
}

TEST_CASE("link: a family, version, length or channel that is not known is refused") {
  using namespace link;
  CHECK(!decode_to_shim(as_bytes(encode(ToSpawner{Resync{}}))));
  std::string bytes = encode(ToShim{CloseOutput{Channel::kOut}});
  bytes.back() = 3;
  CHECK(!decode_to_shim(as_bytes(bytes)));
  bytes = encode(ToShim{Leave{}});
  bytes[1] = 0;
  CHECK(!decode_to_shim(as_bytes(bytes)));
  bytes = encode(ToShim{Stdin{0, {}}});
  bytes[10] = '\xff';  // a length of 4 GiB
  CHECK(!decode_to_shim(as_bytes(bytes)));
}

TEST_CASE("crc32c: the instruction and the table agree with RFC 3720 and with each other") {
  CHECK(crc32c(as_bytes("123456789")) == 0xe3069283);
  CHECK(crc32c_software(as_bytes("123456789")) == 0xe3069283);
  std::string text;
  for (int i = 0; i < 300; ++i) {
    text += static_cast<char>(i * 7);
    CHECK(crc32c(as_bytes(text), 5) == crc32c_software(as_bytes(text), 5));
  }
  CHECK(crc32c(as_bytes("6789"), crc32c(as_bytes("12345"))) == 0xe3069283);
}

TEST_CASE("digest: the known values of no bytes, and pieces add up") {
  StreamDigest digest(Sha256::kOn);
  CHECK(digest.xxh128() == "99aa06d3014798d86001c324468d497f");
  CHECK(digest.sha256() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  StreamDigest whole(Sha256::kOff);
  whole.add(as_bytes("hello world"));
  digest.add(as_bytes("hello "));
  CHECK(digest.xxh128() != whole.xxh128());
  digest.add(as_bytes("world"));
  CHECK(digest.xxh128() == whole.xxh128());
  CHECK(whole.sha256().empty());
}

}  // namespace
}  // namespace rexec::job
