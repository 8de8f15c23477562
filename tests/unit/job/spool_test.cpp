#include "src/job/spool/spool.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <map>

#include "tests/unit/job/temp_dir.hpp"

namespace rexec::job {
namespace {

constexpr auto kNoReader = link::kNoReader;

// Writes text as one frame per call.
Append put(SpoolWriter& writer, Channel channel, std::string_view text) {
  Buffer frame(kFrameHeader + text.size());
  std::memcpy(frame.data() + kFrameHeader, text.data(), text.size());
  return writer.append(channel, frame.writable(), 1000);
}

// A reader over a directory as the shim's messages would feed it.
SpoolReader reader_of(const TempDir& dir, const SpoolWriter& writer, std::uint64_t out,
                      std::uint64_t err) {
  SpoolReader reader(out, err);
  for (const auto& info : writer.segments())
    reader.add_segment(info, os::UniqueFd(::openat(dir.fd(), segment_name(info.index).c_str(),
                                                   O_RDONLY | O_CLOEXEC)));
  reader.set_limits(writer.totals().out, writer.totals().err, writer.spool_size());
  return reader;
}

struct Read {
  std::string out, err, notes;
};

Read read_all(SpoolReader& reader, std::size_t buffer_size = 262144, std::size_t piece = 65536) {
  Read result;
  SpoolBuffer buffer(buffer_size);
  while (true) {
    const SpoolItem item = reader.next(buffer, piece);
    if (const auto* chunk = std::get_if<Chunk>(&item)) {
      CHECK(chunk->data.data() - buffer.bytes().data() >= static_cast<long>(kFrameHeader));
      std::memset(chunk->data.data() - kFrameHeader, 0xee, kFrameHeader);  // ours to overwrite
      (chunk->channel == Channel::kOut ? result.out : result.err) += as_text(chunk->data);
    } else if (const auto* gap = std::get_if<Gap>(&item)) {
      result.notes += (gap->channel == Channel::kOut ? "out " : "err ") +
                      std::to_string(gap->from) + "-" + std::to_string(gap->to) + ";";
    } else if (const auto* bad = std::get_if<Corrupt>(&item)) {
      result.notes += "corrupt: " + bad->message + ";";
      return result;
    } else {
      return result;
    }
  }
}

// One item at a time from each, all through one buffer, as the readers of a process do.
std::vector<std::string> read_in_turns(std::vector<SpoolReader>& readers, std::size_t piece) {
  std::vector<std::string> texts(readers.size());
  SpoolBuffer buffer(262144);
  for (bool any = true; std::exchange(any, false);) {
    for (std::size_t i = 0; i < readers.size(); ++i) {
      const SpoolItem item = readers[i].next(buffer, piece);
      if (const auto* bad = std::get_if<Corrupt>(&item)) texts[i] += "corrupt: " + bad->message;
      const auto* chunk = std::get_if<Chunk>(&item);
      if (chunk == nullptr) continue;
      texts[i] += as_text(chunk->data);
      any = true;
    }
  }
  return texts;
}

std::string pattern(std::size_t size, int seed) {
  std::string text(size, ' ');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 31 + seed + (i >> 8));
  return text;
}

SpoolOptions small() { return {1u << 20, 128u << 10}; }

TEST_CASE("spool: a reader that sets the pace is never further behind than it said") {
  TempDir dir;
  SpoolWriter writer(dir.fd(), small());
  writer.set_reader({0, 0});
  writer.set_ahead(3000);
  CHECK(put(writer, Channel::kOut, pattern(2000, 1)) == Append::kDone);
  CHECK(put(writer, Channel::kErr, pattern(1000, 2)) == Append::kDone);
  CHECK(put(writer, Channel::kOut, "more") == Append::kReaderBehind);
  writer.set_reader({1, 0});
  CHECK(put(writer, Channel::kOut, "more") == Append::kDone);
  CHECK(put(writer, Channel::kOut, "more") == Append::kReaderBehind);
  SUBCASE("stderr is not wanted") { writer.set_reader({1, kNoReader}); }
  SUBCASE("nobody is attached") { writer.release_readers(); }
  SUBCASE("the pace is free") { writer.set_ahead(0); }
  CHECK(put(writer, Channel::kOut, "more") == Append::kDone);
}

TEST_CASE("spool: a reader that gives up old segments is told what it lost and goes on") {
  TempDir dir;
  SpoolWriter writer(dir.fd(), small());
  std::string all;
  for (int i = 0; i < 400; ++i) {
    all += pattern(1000, i);
    CHECK(put(writer, Channel::kOut, pattern(1000, i)) == Append::kDone);
  }
  REQUIRE(writer.segments().size() > 2);
  SpoolReader reader = reader_of(dir, writer, 0, 0);
  SpoolBuffer buffer(SpoolReader::kMinBuffer);
  auto item = reader.next(buffer);
  REQUIRE(std::holds_alternative<Chunk>(item));
  reader.keep_newest(1);
  item = reader.next(buffer);
  REQUIRE(std::holds_alternative<Gap>(item));
  CHECK(std::get<Gap>(item).to == writer.segments().back().out_base);
  std::string rest;
  while (!reader.drained()) {
    item = reader.next(buffer);
    REQUIRE(std::holds_alternative<Chunk>(item));
    rest += as_text(std::get<Chunk>(item).data);
  }
  CHECK(rest == all.substr(writer.segments().back().out_base));
}

TEST_CASE("spool: readers that take turns with one buffer never get one another's bytes") {
  for (const std::size_t piece : {65536u, 7u}) {
    TempDir first_dir, second_dir;
    SpoolWriter first(first_dir.fd(), small()), second(second_dir.fd(), small());
    std::string one, two;
    for (int i = 0; i < 100; ++i) {  // frames of one size: only the bytes tell them apart
      one += pattern(1000, i);
      two += pattern(1000, -i - 1);
      CHECK(put(first, Channel::kOut, pattern(1000, i)) == Append::kDone);
      CHECK(put(second, Channel::kOut, pattern(1000, -i - 1)) == Append::kDone);
    }
    std::vector<SpoolReader> readers;
    readers.push_back(reader_of(first_dir, first, 0, 0));
    readers.push_back(reader_of(second_dir, second, 0, 0));
    readers.push_back(reader_of(first_dir, first, 1500, 0));
    const auto texts = read_in_turns(readers, piece);
    CHECK(texts[0] == one);
    CHECK(texts[1] == two);
    CHECK(texts[2] == one.substr(1500));
  }
}

TEST_CASE("spool: two streams come back whole, each in order") {
  TempDir dir;
  SpoolWriter writer(dir.fd(), small());
  CHECK(put(writer, Channel::kOut, "one ") == Append::kDone);
  CHECK(put(writer, Channel::kErr, "oops") == Append::kDone);
  CHECK(put(writer, Channel::kOut, "two") == Append::kDone);
  auto reader = reader_of(dir, writer, 0, 0);
  const Read read = read_all(reader);
  CHECK(read.out == "one two");
  CHECK(read.err == "oops");
  CHECK(read.notes.empty());
  CHECK(reader.drained());
  CHECK(writer.seq() == 3);
}

TEST_CASE("spool: a reader may start at any byte of either stream, in pieces of any size") {
  TempDir dir;
  SpoolWriter writer(dir.fd(), small());
  std::string out, err;
  for (int i = 0; i < 20; ++i) {
    const std::string a = pattern(30000, i), b = pattern(777, i + 100);
    REQUIRE(put(writer, Channel::kOut, a) == Append::kDone);
    REQUIRE(put(writer, Channel::kErr, b) == Append::kDone);
    out += a;
    err += b;
  }
  CHECK(writer.segments().size() > 3);
  for (const std::uint64_t at : {0, 1, 29999, 30000, 123456, 599999, 600000}) {
    for (const std::size_t piece : {std::size_t{4096}, std::size_t{65536}}) {
      auto reader = reader_of(dir, writer, at, at % err.size());
      const Read read = read_all(reader, SpoolReader::kMinBuffer, piece);
      CHECK(read.out == out.substr(at));
      CHECK(read.err == err.substr(at % err.size()));
    }
  }
  auto only_err = reader_of(dir, writer, kNoReader, 0);
  CHECK(read_all(only_err).err == err);
  CHECK(only_err.drained());
}

TEST_CASE("spool: one byte at a time") {
  TempDir dir;
  SpoolWriter writer(dir.fd(), small());
  put(writer, Channel::kOut, "hello");
  auto reader = reader_of(dir, writer, 0, 0);
  CHECK(read_all(reader, SpoolReader::kMinBuffer, 1).out == "hello");
}

TEST_CASE("spool: a reader waits at the limit and goes on when it grows") {
  TempDir dir;
  SpoolWriter writer(dir.fd(), small());
  put(writer, Channel::kOut, "first ");
  auto reader = reader_of(dir, writer, 0, 0);
  CHECK(read_all(reader).out == "first ");
  put(writer, Channel::kOut, "second");
  CHECK(read_all(reader).out.empty());  // not announced yet
  reader.set_limits(writer.totals().out, 0, writer.spool_size());
  CHECK(read_all(reader).out == "second");
}

TEST_CASE("spool: without readers the oldest segments are dropped, counted, and a gap for later") {
  TempDir dir;
  SpoolWriter writer(dir.fd(), small());
  const std::string block = pattern(60000, 1);
  for (int i = 0; i < 40; ++i) REQUIRE(put(writer, Channel::kOut, block) == Append::kDone);
  CHECK(writer.segments().size() == 8);
  const std::uint64_t base = writer.segments().front().out_base;
  CHECK(writer.dropped().out == base);
  CHECK(base > 0);
  auto reader = reader_of(dir, writer, 100, 0);
  const Read read = read_all(reader);
  CHECK(read.notes == "out 100-" + std::to_string(base) + ";");
  CHECK(read.out.size() == 40 * block.size() - base);
}

TEST_CASE("spool: an attached reader's unread bytes hold the writer back, and nothing is dropped") {
  TempDir dir;
  SpoolWriter writer(dir.fd(), small());
  writer.set_reader({0, kNoReader});
  const std::string block = pattern(60000, 1);
  int written = 0;
  while (put(writer, Channel::kOut, block) == Append::kDone) ++written;
  CHECK(put(writer, Channel::kOut, block) == Append::kReaderBehind);
  CHECK(writer.totals().out == written * block.size());
  CHECK(writer.dropped().out == 0);
  writer.set_reader({writer.segments()[1].out_base - 1, kNoReader});
  CHECK(put(writer, Channel::kOut, block) == Append::kReaderBehind);
  writer.set_reader({writer.segments()[1].out_base, kNoReader});
  CHECK(put(writer, Channel::kOut, block) == Append::kDone);
  CHECK(writer.dropped().out == 0);  // it was read
  auto reader = reader_of(dir, writer, writer.segments().front().out_base, 0);
  CHECK(read_all(reader).notes.empty());
}

TEST_CASE("spool: beyond the quota nothing unread is dropped, what was read still is") {
  TempDir dir;
  SpoolWriter writer(dir.fd(), small());
  writer.set_reader({0, 0});
  const std::string block = pattern(60000, 1);
  std::uint64_t count = 0;
  while (put(writer, Channel::kOut, block) == Append::kDone) ++count;
  writer.set_ahead(1);
  writer.exceed_quota();
  for (int i = 0; i < 10; ++i) REQUIRE(put(writer, Channel::kOut, block) == Append::kDone);
  CHECK(writer.dropped().out == 0);
  auto reader = reader_of(dir, writer, 0, 0);
  const Read read = read_all(reader);
  CHECK(read.notes.empty());
  CHECK(read.out.size() == (count + 10) * block.size());
  writer.set_reader(writer.totals());
  REQUIRE(put(writer, Channel::kOut, block) == Append::kDone);
  CHECK(writer.segments().front().out_base > 0);
}

TEST_CASE("spool: a descriptor of a dropped segment still reads") {
  TempDir dir;
  SpoolWriter writer(dir.fd(), small());
  put(writer, Channel::kOut, "kept");
  auto reader = reader_of(dir, writer, 0, 0);
  const std::string block = pattern(60000, 1);
  for (int i = 0; i < 40; ++i) put(writer, Channel::kOut, block);
  CHECK(writer.dropped().out > 0);
  CHECK(read_all(reader).out == "kept");
}

// FAULTS S2
TEST_CASE("spool: a full disk writes nothing in half, and the same frame goes in later") {
  TempDir dir;
  SpoolWriter writer(dir.fd(), small());
  REQUIRE(put(writer, Channel::kOut, "before ") == Append::kDone);
  // A file size limit stands in for the full disk: a short write, then an error.
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  ::getrlimit(RLIMIT_FSIZE, &old);
  const rlimit tight{200, old.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &tight);
  const std::string block = pattern(1000, 3);
  CHECK(put(writer, Channel::kOut, block) == Append::kNoSpace);
  CHECK(writer.last_error() == EFBIG);
  ::setrlimit(RLIMIT_FSIZE, &old);
  CHECK(put(writer, Channel::kOut, block) == Append::kDone);
  auto reader = reader_of(dir, writer, 0, 0);
  CHECK(read_all(reader).out == "before " + block);
}

TEST_CASE("spool: what is given back to a full disk is counted, and a little is kept") {
  TempDir dir;
  SpoolWriter small_one(dir.fd(), spool_options(64u << 20));
  REQUIRE(put(small_one, Channel::kOut, "precious") == Append::kDone);
  small_one.give_back();
  CHECK(small_one.segments().size() == 1);
  CHECK(small_one.dropped() == PerStream<std::uint64_t>{});

  TempDir large_dir;
  SpoolWriter writer(large_dir.fd(), spool_options(64u << 20));
  const std::string block(65536, 'x');
  for (int i = 0; i < 40; ++i) REQUIRE(put(writer, Channel::kOut, block) == Append::kDone);
  REQUIRE(put(writer, Channel::kErr, "err") == Append::kDone);
  writer.set_reader({65536, 0});
  writer.give_back();
  writer.lose(Channel::kOut, 100);
  CHECK(writer.segments().empty());
  CHECK(::faccessat(large_dir.fd(), segment_name(0).c_str(), F_OK, 0) != 0);
  CHECK(writer.totals() == PerStream<std::uint64_t>{40 * 65536 + 100, 3});
  CHECK(writer.dropped() == PerStream<std::uint64_t>{39 * 65536 + 100, 3});
  SpoolReader reader = reader_of(large_dir, writer, 65536, 0);
  reader.finish();
  CHECK(read_all(reader).notes == "out 65536-2621540;err 0-3;");
}

TEST_CASE("spool: a torn last frame is cut and counted") {
  TempDir dir;
  {
    SpoolWriter writer(dir.fd(), small());
    put(writer, Channel::kOut, "whole");
    put(writer, Channel::kErr, "torn away");
  }
  const std::string file = dir.path() + "/" + segment_name(0);
  REQUIRE(::truncate(file.c_str(), kSegmentHeader + 21 + 20) == 0);
  const auto scan = recover_spool(dir.fd());
  REQUIRE(scan);
  CHECK(scan->totals.out == 5);
  CHECK(scan->totals.err == 0);
  CHECK(scan->torn_bytes == 20);
  CHECK(std::filesystem::file_size(file) == kSegmentHeader + 21);
  SpoolReader reader(0, 0);
  EndRecord record;
  record.bytes = scan->totals;
  REQUIRE(load_finished(reader, open_segments(dir.fd()), record));
  CHECK(read_all(reader).out == "whole");
  CHECK(reader.drained());
}

TEST_CASE("spool: every length a crash can leave recovers to whole frames") {
  TempDir dir;
  SpoolWriter writer(dir.fd(), small());
  put(writer, Channel::kOut, "abc");
  put(writer, Channel::kOut, "defg");
  const std::string file = dir.path() + "/" + segment_name(0);
  const auto size = writer.spool_size();
  for (std::uint64_t n = size; n-- > 0;) {
    REQUIRE(::truncate(file.c_str(), static_cast<off_t>(n)) == 0);
    const auto scan = recover_spool(dir.fd());
    REQUIRE(scan);
    const std::uint64_t expect = n >= size ? 7 : n >= kSegmentHeader + 19 ? 3 : 0;
    CHECK(scan->totals.out == expect);
    if (!std::filesystem::exists(file)) break;  // the header itself was torn
  }
  CHECK(!std::filesystem::exists(file));
}

TEST_CASE("spool: a flipped bit anywhere in a frame is corrupt, never delivered") {
  for (std::uint64_t at = kSegmentHeader; at < kSegmentHeader + 26; ++at) {
    TempDir dir;
    SpoolWriter writer(dir.fd(), small());
    put(writer, Channel::kOut, "0123456789");
    os::UniqueFd fd(::openat(dir.fd(), segment_name(0).c_str(), O_RDWR | O_CLOEXEC));
    char byte = 0;
    REQUIRE(::pread(fd.get(), &byte, 1, static_cast<off_t>(at)) == 1);
    byte ^= 0x10;
    REQUIRE(::pwrite(fd.get(), &byte, 1, static_cast<off_t>(at)) == 1);
    auto reader = reader_of(dir, writer, 0, 0);
    const Read read = read_all(reader);
    CHECK(read.out.empty());
    CHECK(read.notes.starts_with("corrupt"));
    CHECK(read_all(reader).notes.starts_with("corrupt"));  // and stays so
  }
}

TEST_CASE("spool: a finished job whose segments are missing shows the hole as a gap") {
  TempDir dir;
  SpoolWriter writer(dir.fd(), small());
  const std::string block = pattern(60000, 1);
  for (int i = 0; i < 6; ++i) put(writer, Channel::kOut, block);
  EndRecord record;
  record.bytes = writer.totals();
  ::unlinkat(dir.fd(), segment_name(1).c_str(), 0);
  SpoolReader hole(0, 0);
  REQUIRE(load_finished(hole, open_segments(dir.fd()), record));
  CHECK(read_all(hole).notes == "out 120000-240000;");
  SpoolReader nothing(5, 0);
  REQUIRE(load_finished(nothing, {}, record));
  CHECK(read_all(nothing).notes == "out 5-360000;");
  CHECK(nothing.drained());
}

}  // namespace
}  // namespace rexec::job
