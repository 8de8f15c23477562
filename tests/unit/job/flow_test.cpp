// Bytes in and out: stdin exactly once, slow readers, quotas, many bytes.
#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "src/base/text.hpp"
#include "src/job/shim/stdin_pump.hpp"
#include "src/job/spec/digest.hpp"
#include "tests/unit/job/rig.hpp"

namespace rexec::job {
namespace {

std::string numbered(std::size_t size) {
  std::string text;
  for (std::size_t i = 0; text.size() < size; ++i) text += std::to_string(i) + "\n";
  text.resize(size);
  return text;
}

// Sends as the limits allow, until everything is accepted.
void feed(JobView& job, std::string_view text) {
  while (job.ack.offset < text.size()) {
    const std::uint64_t at = job.ack.offset;
    const std::uint64_t room = job.ack.limit - at;
    if (room == 0) {
      REQUIRE(job.step());
      continue;
    }
    const auto piece = text.substr(at, std::min<std::uint64_t>(room, link::kMaxStdinBytes));
    job.send(link::Stdin{at, as_bytes(piece)});
    while (job.ack.offset == at) REQUIRE(job.step());
  }
  job.send(link::StdinEof{text.size()});
}

// It takes stdin from offset 0 on.
JobView start_cat(Rig& rig) {
  JobSpec spec = command({"cat"});
  spec.forward_stdin = true;
  JobView job = rig.start(spec);
  job.wait_state();
  return job;
}

TEST_CASE("stdin: megabytes arrive once and in order, and end") {
  Rig rig;
  rig.boot();
  JobView job = start_cat(rig);
  const std::string text = numbered(3 << 20);
  feed(job, text);
  CHECK(job.wait_end().code == 0);
  CHECK(job.out == text);
}

TEST_CASE("stdin: of many short lines is acknowledged now and then, and to its end") {
  Rig rig;
  rig.boot();
  JobView job = start_cat(rig);
  constexpr std::uint64_t kLines = 500;
  const BootTime begin = BootClock::now();
  std::uint64_t acks = 0, known = 0;
  const auto step = [&] {
    REQUIRE(job.step());
    if (job.ack.offset != std::exchange(known, job.ack.offset)) ++acks;
  };
  for (std::uint64_t i = 0; i < kLines; ++i) {
    job.send(link::Stdin{2 * i, as_bytes("x\n")});
    while (job.out.size() < 2 * (i + 1)) step();
  }
  while (known < 2 * kLines) step();
  const auto took = std::chrono::duration_cast<Millis>(BootClock::now() - begin);
  MESSAGE(acks << " acknowledgements in " << took.count() << " ms");
  // One in 20 ms, and the first; what the scheduler does to either side is in the time.
  CHECK(acks <= 2 + static_cast<std::uint64_t>(took.count()) / 20);
  job.send(link::StdinEof{2 * kLines});
  CHECK(job.wait_end().code == 0);
}

TEST_CASE(
    "stdin: bytes sent again over a new connection are not doubled, a hole ends the connection") {
  Rig rig;
  rig.boot();
  JobView job = start_cat(rig);
  job.send(link::Stdin{0, as_bytes("hello ")});
  job.wait_out("hello ");
  rig.send(link::Open{job.key});
  JobView again = rig.expect_channel(job.key);
  again.wait_state();
  CHECK(again.state->in_offset == 6);
  again.send(link::Stdin{2, as_bytes("llo wor")});
  again.send(link::Stdin{0, as_bytes("hello world")});
  again.send(link::StdinEof{11});
  CHECK(again.wait_end().code == 0);
  CHECK(again.out == "hello world");

  JobView hole = start_cat(rig);
  hole.send(link::Stdin{5, as_bytes("x")});
  while (hole.step()) {
  }
  CHECK(hole.closed);
  rig.send(link::Open{hole.key});
  JobView fine = rig.expect_channel(hole.key);
  fine.wait_state();
  fine.send(link::StdinEof{0});
  CHECK(fine.wait_end().bytes.out == 0);
}

TEST_CASE("stdin: what comes after its end is dropped, and the connection lives") {
  Rig rig;
  rig.boot();
  const std::string gate = rig.dir().path() + "/gate";
  REQUIRE(::mkfifo(gate.c_str(), 0600) == 0);
  JobSpec spec = shell("cat; echo waits; read x < " + gate);
  spec.forward_stdin = true;
  JobView job = rig.start(spec);
  job.wait_state();
  job.send(link::Stdin{0, as_bytes("all")});
  job.send(link::StdinEof{3});
  job.wait_out("allwaits\n");
  job.send(link::Stdin{3, as_bytes(" and more")});
  job.send(link::StdinEof{12});
  job.send(link::Stop{0});
  const EndRecord end = job.wait_end();
  CHECK(end.outcome == Outcome::kStopped);
  CHECK(job.out == "allwaits\n");
}

TEST_CASE("stdin: what a connection brought counts, though a newer one takes its place") {
  Rig rig;
  rig.boot();
  JobView job = start_cat(rig);
  job.wait_started();
  const pid_t shim = Rig::shim_of(rig.job_dir(job.key));
  ::kill(shim, SIGSTOP);
  const std::string text = numbered(2'000);  // in more messages than the shim takes in one turn
  for (std::size_t at = 0; at < text.size(); at += 50)
    job.send(link::Stdin{at, as_bytes(std::string_view(text).substr(at, 50))});
  rig.send(link::Open{job.key});
  JobView again = rig.expect_channel(job.key);
  ::kill(shim, SIGCONT);
  again.wait_state();
  CHECK(again.state->in_offset == text.size());
  again.send(link::StdinEof{text.size()});
  CHECK(again.wait_end().code == 0);
  CHECK(again.out == text);
}

// FAULTS J23
TEST_CASE("stdin: a job that never reads holds the sender at the limit, and stop works meanwhile") {
  Rig rig;
  rig.boot();
  JobSpec spec = command({"sleep", "100"});
  spec.forward_stdin = true;
  JobView job = rig.start(spec);
  job.wait_state();
  const std::string block(link::kMaxStdinBytes, 'x');
  while (job.ack.limit > job.ack.offset) {
    const std::uint64_t at = job.ack.offset;
    const auto room = std::min<std::uint64_t>(block.size(), job.ack.limit - at);
    job.send(link::Stdin{at, as_bytes(std::string_view(block).substr(0, room))});
    while (job.ack.offset == at) REQUIRE(job.step());
  }
  CHECK(job.ack.offset <= 256 << 10);
  job.send(link::Stop{1000});
  CHECK(job.wait_end().outcome == Outcome::kStopped);
}

TEST_CASE("stdin: without -i it is empty at once") {
  Rig rig;
  rig.boot();
  JobView job = rig.start(shell("cat; echo end"));
  job.wait_end();
  CHECK(job.out == "end\n");
}

TEST_CASE("stdin: a job that closes it lives on and takes no more") {
  Rig rig;
  rig.boot();
  JobSpec spec = shell("exec <&-; echo closed; sleep 0.3; echo alive");
  spec.forward_stdin = true;
  JobView job = rig.start(spec);
  job.wait_out("closed");
  feed(job, numbered(1 << 20));
  CHECK(job.wait_end().code == 0);
  CHECK(job.out == "closed\nalive\n");
}

TEST_CASE("output: a slow reader holds the job back and loses nothing") {
  Rig rig;
  rig.boot();
  JobSpec spec = shell("seq 1 2000000");  // 14 MB through a quota of 1 MiB
  spec.output_quota = 1 << 20;
  JobView job = rig.start(spec);
  job.reading = false;
  while (job.held.readers == 0) REQUIRE(job.step());
  CHECK(job.output.out_total <= 2u << 20);
  CHECK(!job.step(200));  // and it stays there
  job.reading = true;
  job.send(link::Read{0, 0, 0});
  job.send(link::Readers{1});
  const std::uint64_t before = job.output.out_total;
  rig.send(link::Open{job.key});
  JobView reader = rig.expect_channel(job.key);
  const EndRecord end = reader.wait_end();
  CHECK(before < end.bytes.out);
  CHECK(end.dropped == PerStream<std::uint64_t>{});
  CHECK(end.complete);
  StreamDigest digest(Sha256::kOff);
  digest.add(as_bytes(reader.out));
  CHECK(reader.out.size() == end.bytes.out);
  CHECK(digest.xxh128() == end.xxh128.out);
  CHECK(reader.gaps.empty());
}

TEST_CASE("output: without readers the oldest is dropped, counted and declared") {
  Rig rig;
  rig.boot();
  JobSpec spec = shell("seq 1 2000000");
  spec.output_quota = 1 << 20;
  const AttemptKey key = rig.new_key();
  rig.send_start(key, spec, false);
  JobView job = rig.expect_channel(key);
  job.reading = false;
  const EndRecord end = job.wait_end();
  CHECK(end.dropped.out > 0);
  CHECK(!end.complete);
  CHECK(end.bytes.out == 14888896);
  rig.send(link::Open{key});
  const FinishedView late = rig.expect_finished(key);
  CHECK(late.gaps == "out 0-" + std::to_string(end.dropped.out) + ";");
  CHECK(late.out.size() == end.bytes.out - end.dropped.out);
  CHECK(late.out.ends_with("\n2000000\n"));
}

TEST_CASE("output: with block a job that nobody reads is held at its quota and loses nothing") {
  Rig rig;
  rig.boot();
  JobSpec spec = shell("seq 1 2000000");
  spec.output_quota = 1 << 20;
  spec.overflow = Overflow::kBlock;
  const AttemptKey key = rig.new_key();
  rig.send_start(key, spec, false);
  JobView nobody = rig.expect_channel(key);
  nobody.reading = false;
  while (nobody.held.readers != link::kUnread) REQUIRE(nobody.step());
  CHECK(nobody.output.out_total <= 1u << 20);
  CHECK(!nobody.step(200));  // and it stays there
  rig.send(link::Open{key});
  JobView first = rig.expect_channel(key);
  first.send(link::Readers{1});
  while (first.out.size() < 4u << 20) REQUIRE(first.step());
  first.reading = false;
  first.send(link::Readers{0});  // leaves, and the job is held again
  while (first.held.readers != link::kUnread) REQUIRE(first.step());
  CHECK(first.output.out_total <= first.out.size() + (1u << 20));
  rig.send(link::Open{key});
  JobView second = rig.expect_channel(key, first.out.size());
  second.send(link::Readers{1});
  const EndRecord end = second.wait_end();
  CHECK(end.dropped == PerStream<std::uint64_t>{});
  CHECK(end.complete);
  CHECK(first.out.size() + second.out.size() == end.bytes.out);
  CHECK(second.gaps.empty());
}

TEST_CASE("output: frames' times never fall and both streams keep their order") {
  Rig rig;
  rig.boot();
  JobView job = rig.start(shell("for i in 1 2 3 4 5 6 7 8 9; do echo $i; echo e$i >&2; done"));
  job.wait_end();
  CHECK(job.out == "1\n2\n3\n4\n5\n6\n7\n8\n9\n");
  CHECK(job.err == "e1\ne2\ne3\ne4\ne5\ne6\ne7\ne8\ne9\n");
}

// FAULTS S2
TEST_CASE("output: a full disk holds the job back, says so, and goes on without a hole") {
  Rig rig;
  // A file size limit, inherited by spawner and shim, stands in for the full disk.
  rlimit old{};
  ::getrlimit(RLIMIT_FSIZE, &old);
  const rlimit tight{100000, old.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &tight);
  rig.boot();
  ::setrlimit(RLIMIT_FSIZE, &old);
  JobView job = rig.start(shell("seq 1 50000; echo end"));
  while (job.held.error == 0) REQUIRE(job.step());
  CHECK(job.held.error == EFBIG);
  CHECK(job.output.out_total < 100000);
  const pid_t shim = Rig::shim_of(rig.job_dir(job.key));
  ::prlimit(shim, RLIMIT_FSIZE, &old, nullptr);
  const EndRecord end = job.wait_end();
  CHECK(job.held.error == 0);
  CHECK(job.out.size() == 288898);
  CHECK(job.out.ends_with("\n50000\nend\n"));
  CHECK(end.complete);
}

// FAULTS J2
TEST_CASE("output: a flood does not make the shim grow") {
  Rig rig;
  rig.boot();
  JobView job = rig.start(shell("head -c 200000000 /dev/zero; echo x; sleep 100"));
  job.keep_bytes = false;
  while (job.out_bytes < 200000000) REQUIRE(job.step());
  const pid_t shim = Rig::shim_of(rig.job_dir(job.key));
  REQUIRE(shim != 0);
  std::ifstream smaps("/proc/" + std::to_string(shim) + "/smaps_rollup");
  std::string line;
  long private_kb = 0;
  while (std::getline(smaps, line))
    if (line.starts_with("Private_Dirty:") || line.starts_with("Private_Clean:"))
      private_kb += std::stol(line.substr(15));
  MESSAGE("private memory of a shim after a flood: ", private_kb, " kB");
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
  CHECK(private_kb < 600);
#endif
  job.send(link::Stop{0});
  job.wait_end();
}

}  // namespace
}  // namespace rexec::job
