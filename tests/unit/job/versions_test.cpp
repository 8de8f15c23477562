// What processes of other versions say to this one, and what they left on disk. The bytes are
// version 1's, as it wrote them: nothing here may ever be changed to fit the code.
#include <doctest/doctest.h>

#include "src/base/text.hpp"
#include "src/job/ipc/link.hpp"
#include "src/job/spec/record.hpp"
#include "src/job/spool/attempt_dir.hpp"
#include "src/job/spool/spool_format.hpp"

namespace rexec::job {
namespace {

using namespace link;

const AttemptKey kKey{JobId{"j-0123456789ab"}, 2};
const Meta kMeta{"t", "u", 99};
#define KEY "0000000e6a2d30313233343536373839616200000002"
#define META "000000017400000001750000000000000063"

std::string from_hex(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    bytes += static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16));
  return bytes;
}

// Both ways: what version 1 sent is read, and what version 1 is sent it can read.
template <class Variant, class Decode>
void as_in_version_1(const Variant& message, const std::string& hex, Decode decode) {
  CAPTURE(hex);
  CHECK(to_hex(as_bytes(encode(message, 1))) == hex);
  const std::string bytes = from_hex(hex);  // Stdin is a view of it
  const auto back = decode(as_bytes(bytes));
  REQUIRE(back);
  CHECK(back->index() == message.index());
  CHECK(to_hex(as_bytes(encode(*back, 1))) == hex);
}

TEST_CASE("versions: net and spawner write and read the bytes of version 1") {
  const auto to = [](const ToSpawner& m, const char* hex) {
    as_in_version_1(m, hex, decode_to_spawner);
  };
  const auto from = [](const FromSpawner& m, const char* hex) {
    as_in_version_1(m, hex, decode_from_spawner);
  };
  to(Start{kKey, "t", "o", true}, "1001" KEY "0000000174000000016f01");
  to(Open{kKey}, "1101" KEY);
  to(Reported{kKey}, "1201" KEY);
  to(Remove{kKey}, "1301" KEY);
  to(Resync{}, "1401");
  from(ShimChannel{kKey, kMeta, 7, 8}, "2001" KEY META "000000070000000000000008");
  from(Finished{kKey, kMeta, "{}", true}, "2101" KEY META "000000027b7d01");
  from(Refused{kKey, "denied", "no"}, "2201" KEY "0000000664656e696564000000026e6f");
  from(SyncDone{}, "2301");
}

TEST_CASE("versions: a shim of version 1 is read, and reads what it is sent") {
  const auto from = [](const FromShim& m, const char* hex) {
    as_in_version_1(m, hex, decode_from_shim);
  };
  const auto to = [](const ToShim& m, const char* hex) { as_in_version_1(m, hex, decode_to_shim); };
  from(State{1, 2, 3, 4, 5, true, false, 6, 7},
       "4001000000000000000100000000000000020000000000000003000000000000000400000000000000050100"
       "000000060000000000000007");
  from(Segment{1, 2, 3, 4}, "410100000001000000000000000200000000000000030000000000000004");
  from(Output{1, 2, 3}, "4201000000000000000100000000000000020000000000000003");
  from(StdinAck{1, 2}, "430100000000000000010000000000000002");
  from(Started{1, 2}, "4401000000010000000000000002");
  from(Exited{1, 2}, "45010000000100000002");
  from(End{"{}"}, "4601000000027b7d");
  from(Held{28, 1}, "47010000001c00000001");
  to(Stdin{5, as_bytes("abc")}, "6001000000000000000500000003616263");
  to(StdinEof{1}, "61010000000000000001");
  to(Signal{2}, "620100000002");
  to(Stop{3}, "63010000000000000003");
  to(Resize{4, 5}, "640100040005");
  to(CloseOutput{Channel::kErr}, "650102");
  to(Readers{1}, "660100000001");
  to(Read{1, kNoReader, 5}, "67010000000000000001ffffffffffffffff0000000000000005");
  to(Leave{}, "6801");
}

TEST_CASE("versions: a shim of before hears that there is no reader, not why") {
  const ToShim told = Readers{0, Gone::kEnded};
  CHECK(to_hex(as_bytes(encode(told, 3))) == "660300000000");
  CHECK(to_hex(as_bytes(encode(told))) == "66040000000002");
  const auto old = decode_to_shim(as_bytes(encode(told, 1)));
  REQUIRE(old);
  CHECK(std::get<Readers>(*old).gone == Gone::kSilent);
  std::string unknown = encode(told);
  unknown[6] = 3;
  CHECK_FALSE(decode_to_shim(as_bytes(unknown)));
}

TEST_CASE("versions: a message keeps the version in which its fields last changed") {
  CHECK(encode(ToShim{Stop{3}})[1] == 1);
  const std::string channel = encode(FromSpawner{ShimChannel{kKey, kMeta, 7, 8, 5}});
  CHECK(channel[1] == 2);
  const auto back = decode_from_spawner(as_bytes(channel));
  REQUIRE(back);
  CHECK(std::get<ShimChannel>(*back).version == 5);
  // One that does not say so is of the time before it could.
  const auto old =
      decode_from_spawner(as_bytes(encode(FromSpawner{ShimChannel{kKey, kMeta, 7, 8, 5}}, 1)));
  CHECK(std::get<ShimChannel>(*old).version == 1);
}

TEST_CASE("versions: of a later version's message the known fields are read, the rest is not") {
  std::string later = encode(FromShim{Output{1, 2, 3}});
  later[1] = static_cast<char>(kVersion + 1);
  const auto read = decode_from_shim(as_bytes(later + "a field of its own"));
  REQUIRE(read);
  CHECK(std::get<Output>(*read).spool_size == 3);
  // Only what is longer: cut short it is malformed in any version.
  CHECK(!decode_from_shim(as_bytes(later).first(later.size() - 1)));
  // In our own version and below, more bytes than fields are a lie.
  later[1] = static_cast<char>(kVersion);
  CHECK(!decode_from_shim(as_bytes(later + "x")));
}

TEST_CASE("versions: a kind of a later version is ignored, one of ours that is not there refused") {
  std::string unknown = encode(FromShim{Held{}});
  unknown[0] = static_cast<char>(unknown[0] + 1);
  CHECK(!decode_from_shim(as_bytes(unknown)));
  unknown[1] = static_cast<char>(kVersion + 1);
  const auto newer = decode_from_shim(as_bytes(unknown));
  REQUIRE(newer);
  CHECK(std::holds_alternative<Newer>(*newer));
}

TEST_CASE("versions: the journal of version 1 is read") {
  const StartedRecord started = started_from_text(
      "boot b-1\npid 77\nticks 123456\nuid 1000\nwall_ms 1790000000000\ncgroup /sys/fs/cgroup/x\n"
      "script /tmp/rexec-j/script\n");
  CHECK(started.boot_id == "b-1");
  CHECK(started.pid == 77);
  CHECK(started.start_ticks == 123456);
  CHECK(started.uid == 1000);
  CHECK(started.wall_ms == 1790000000000);
  CHECK(started.cgroup == "/sys/fs/cgroup/x");
  CHECK(started.script_path == "/tmp/rexec-j/script");
  CHECK(started.link == 1);
  CHECK(started_from_text(to_text({.link = 9})).link == 9);
  const auto meta = decode_meta(from_hex(
      "84a6617474616368c3a56f776e6572c40175ab72656365697665645f6d7363a67469636b6574c40174"));
  REQUIRE(meta);
  CHECK(meta->meta.ticket == "t");
  CHECK(meta->meta.owner == "u");
  CHECK(meta->meta.received_ms == 99);
  CHECK(meta->attach);
}

TEST_CASE("versions: the spool and the end record of version 1 are read") {
  const std::string header = from_hex(
      "72657873706f6f6c0000000100000003000000000000006400000000000000c80000000000000007"
      "0000000000000000000000000000000000000000d28369e5");
  const auto segment = parse_segment_header(as_bytes(header));
  REQUIRE(segment);
  CHECK(segment->index == 3);
  CHECK(segment->out_base == 100);
  CHECK(segment->err_base == 200);
  CHECK(segment->seq_base == 7);
  const std::string frame = from_hex("f44cc4d90002020000000000000003e8616263");
  const auto parsed = parse_frame(as_bytes(frame).data());
  REQUIRE(parsed);
  CHECK(parsed->channel == Channel::kErr);
  CHECK(parsed->size == 3);
  CHECK(parsed->time_ms == 1000);
  CHECK(frame_intact(as_bytes(frame), 3));
  const auto record = record_from_json(
      R"({"node":"n1","job":"j-0123456789ab","attempt":2,"outcome":"timeout","code":124,)"
      R"("signal":15,"oom":false,"bytes":{"out":5,"err":0},"xxh128":{"out":"aa","err":"bb"},)"
      R"("complete":true,"reason":"timeout","message":"","wall_s":1.500000,"cpu_s":0.250000,)"
      R"("max_rss":4096,"left_behind":0,"dropped":{"out":0,"err":0},"started_ms":1,"ended_ms":2})");
  REQUIRE(record);
  CHECK(record->outcome == Outcome::kTimeout);
  CHECK(record->bytes.out == 5);
  CHECK(record->complete);
}

}  // namespace
}  // namespace rexec::job
