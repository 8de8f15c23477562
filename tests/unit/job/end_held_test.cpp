// Jobs that end while a reader is a quota behind: no end waits for it, and it loses nothing.
#include <doctest/doctest.h>
#include <signal.h>

#include <filesystem>

#include "src/job/spec/digest.hpp"
#include "tests/unit/job/rig.hpp"

namespace rexec::job {
namespace {

constexpr std::uint64_t kQuota = 1 << 20;
// Both pipes at the size the shim gives them, the frame in its hand, frame headers.
constexpr std::uint64_t kMostBeyond = 1 << 20;

JobSpec held_spec(std::string text) {
  JobSpec spec = shell(std::move(text));
  spec.output_quota = kQuota;
  return spec;
}

void wait_held(JobView& job) {
  job.reading = false;
  while (job.held.readers == 0) REQUIRE(job.step());
}

JobView start_held(Rig& rig, const JobSpec& spec) {
  JobView job = rig.start(spec);
  wait_held(job);
  return job;
}

// Every byte of it can still be had, from disk, and is what the job wrote.
FinishedView check_whole(Rig& rig, const AttemptKey& key, const EndRecord& end) {
  CHECK(end.complete);
  CHECK(end.dropped == PerStream<std::uint64_t>{});
  CHECK(end.bytes.out + end.bytes.err <= kQuota + kMostBeyond);
  rig.send(link::Open{key});
  FinishedView late = rig.expect_finished(key);
  CHECK(late.gaps.empty());
  CHECK(late.out.size() == end.bytes.out);
  CHECK(late.err.size() == end.bytes.err);
  StreamDigest out(Sha256::kOff);
  out.add(as_bytes(late.out));
  CHECK(out.xxh128() == end.xxh128.out);
  StreamDigest err(Sha256::kOff);
  err.add(as_bytes(late.err));
  CHECK(err.xxh128() == end.xxh128.err);
  return late;
}

TEST_CASE("end: a stop does not wait for a reader who is a quota behind, and loses nothing") {
  Rig rig;
  rig.boot();
  JobView job = start_held(rig, held_spec("exec yes"));
  job.send(link::Stop{5000});
  const EndRecord end = job.wait_end();
  CHECK(end.outcome == Outcome::kStopped);
  const FinishedView late = check_whole(rig, job.key, end);
  CHECK(late.out.starts_with("y\ny\n"));
}

TEST_CASE("end: a stop's KILL reaches the tree of a job that is held back") {
  Rig rig;
  rig.boot();
  JobView job = start_held(rig, held_spec("trap '' TERM; setsid yes >&2 & yes"));
  job.send(link::Stop{50});
  const EndRecord end = job.wait_end();
  CHECK(end.signal == SIGKILL);
  CHECK(Rig::processes_of(job.key).empty());
  check_whole(rig, job.key, end);
}

TEST_CASE("end: the timeout of a job that is held back is its end") {
  Rig rig;
  rig.boot();
  JobSpec spec = held_spec("exec yes");
  spec.timeout_ms = 3'000;  // by then `yes` has filled its quota, which takes milliseconds
  SUBCASE("children kill") { spec.children = Children::kKill; }
  SUBCASE("children wait") { spec.children = Children::kWait; }
  SUBCASE("children leave") { spec.children = Children::kLeave; }
  JobView job = rig.start(spec);
  wait_held(job);
  const EndRecord end = job.wait_end();
  CHECK(end.outcome == Outcome::kTimeout);
  check_whole(rig, job.key, end);
}

TEST_CASE("end: a command that exits by itself while it is held back has all it wrote kept") {
  Rig rig;
  rig.boot();
  // The last writer dies with its pipe full, and the command goes at once.
  JobSpec spec = held_spec("yes | head -c 400000; yes >&2 & w=$!; read x; kill $w; exit 7");
  spec.forward_stdin = true;
  SUBCASE("children kill") { spec.children = Children::kKill; }
  SUBCASE("children wait") { spec.children = Children::kWait; }
  SUBCASE("children leave") { spec.children = Children::kLeave; }
  JobView job = rig.start(spec);
  wait_held(job);
  job.send(link::Stdin{0, as_bytes("\n")});
  const EndRecord end = job.wait_end();
  CHECK(end.outcome == Outcome::kExited);
  CHECK(end.code == 7);
  CHECK(end.bytes.out == 400000);
  check_whole(rig, job.key, end);
}

TEST_CASE("end: a reader who goes on after the end gets every byte through its own connection") {
  Rig rig;
  rig.boot();
  JobView job = start_held(rig, held_spec("exec yes"));
  job.send(link::Stop{5000});
  while (!job.end) REQUIRE(job.step());
  job.reading = true;
  const EndRecord end = job.wait_end();
  CHECK(job.gaps.empty());
  CHECK(job.out.size() == end.bytes.out);
}

TEST_CASE(
    "end: closing the output of a job that is held back leaves count and digest in agreement") {
  Rig rig;
  rig.boot();
  JobView job = start_held(rig, held_spec("exec yes"));
  job.send(link::CloseOutput{Channel::kErr});
  job.send(link::CloseOutput{Channel::kOut});
  const EndRecord end = job.wait_end();
  CHECK(end.signal == SIGPIPE);
  check_whole(rig, job.key, end);
}

TEST_CASE("end: a terminal that is held back ends with its job") {
  Rig rig;
  rig.boot();
  JobSpec spec = held_spec("exec yes");
  spec.tty = TtySpec{};
  JobView job = rig.start(spec);
  wait_held(job);
  job.send(link::Stop{1000});
  check_whole(rig, job.key, job.wait_end());
}

TEST_CASE("end: a paced job that is held back ends as well") {
  Rig rig;
  rig.boot();
  JobView job = rig.start(shell("exec yes"));
  job.reading = false;
  job.send(link::Readers{1});
  job.send(link::Read{0, 0, 100000});
  wait_held(job);
  job.send(link::Stop{5000});
  check_whole(rig, job.key, job.wait_end());
}

}  // namespace
}  // namespace rexec::job
