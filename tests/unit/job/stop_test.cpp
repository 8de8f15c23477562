// How jobs are ended, what they leave behind, and who is waited for.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include "tests/unit/job/rig.hpp"

namespace rexec::job {
namespace {

constexpr const char* kFamily =
    "sleep 100 & setsid sleep 100 & (setsid sh -c 'sleep 100 & sleep 100') & echo up; wait";

bool nothing_left(const AttemptKey& key) { return Rig::processes_of(key).empty(); }

// FAULTS I8
TEST_CASE("stop: the whole tree ends, other sessions included, before the record says stopped") {
  Rig rig;
  rig.boot();
  JobView job = rig.start(shell(kFamily));
  job.wait_out("up");
  // One that is between two programs cannot be told for one of the job's.
  CHECK(eventually([&] { return Rig::processes_of(job.key).size() >= 4; }));
  job.send(link::Stop{5000});
  const EndRecord end = job.wait_end();
  CHECK(nothing_left(job.key));
  CHECK(end.outcome == Outcome::kStopped);
  CHECK(end.code == 143);
  CHECK(end.signal == SIGTERM);
  CHECK(end.reason == "stop");
}

// FAULTS J8
TEST_CASE("stop: what ignores TERM gets KILL after the grace") {
  Rig rig;
  rig.boot();
  JobView job = rig.start(shell(
      "trap '' TERM; (trap '' TERM; setsid sleep 100) & echo up; while :; do sleep 0.05; done"));
  job.wait_out("up");
  job.send(link::Stop{100});
  const EndRecord end = job.wait_end();
  CHECK(nothing_left(job.key));
  CHECK(end.code == 137);
}

TEST_CASE("stop: a second stop without grace does not wait for the first one's") {
  Rig rig;
  rig.boot();
  JobView job = rig.start(shell("trap '' TERM; echo up; while :; do sleep 0.05; done"));
  job.wait_out("up");
  job.send(link::Stop{3600'000});
  job.send(link::Stop{0});
  CHECK(job.wait_end().code == 137);
}

TEST_CASE("stop: a later stop with more time than is left gives none") {
  Rig rig;
  rig.boot();
  JobView job = rig.start(shell("trap '' TERM; echo up; while :; do sleep 0.05; done"));
  job.wait_out("up");
  job.send(link::Stop{100});
  job.send(link::Stop{3600'000});
  CHECK(job.wait_end().code == 137);
}

TEST_CASE("stop: an order that names no grace uses the job's own") {
  for (const std::uint64_t own : {std::uint64_t{50}, std::uint64_t{60'000}}) {
    Rig rig;
    rig.boot();
    JobSpec spec = shell("trap 'sleep 0.5; exit 0' TERM; echo up; while :; do sleep 0.01; done");
    spec.grace_ms = own;
    JobView job = rig.start(spec);
    job.wait_out("up");
    job.send(link::Stop{});
    CHECK(job.wait_end().code == (own < 1'000 ? 137 : 143));
  }
}

TEST_CASE("stop: a job that obeys TERM and exits by itself is stopped all the same") {
  Rig rig;
  rig.boot();
  JobView job =
      rig.start(shell("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done"));
  job.wait_out("up");
  job.send(link::Stop{5000});
  const EndRecord end = job.wait_end();
  CHECK(job.out == "up\nbye\n");
  CHECK(end.outcome == Outcome::kStopped);
  CHECK(end.code == 143);
}

// FAULTS J22, J9
TEST_CASE("timeout: the record says timeout, the code is 124 and no process is left") {
  Rig rig;
  rig.boot();
  JobSpec spec = shell(kFamily);
  spec.timeout_ms = 150;
  JobView job = rig.start(spec);
  EndRecord end = job.wait_end();
  CHECK(nothing_left(job.key));
  CHECK(end.outcome == Outcome::kTimeout);
  CHECK(end.code == 124);
  spec = shell("kill -STOP $$; echo never");
  spec.timeout_ms = 50;
  end = rig.start(spec).wait_end();
  CHECK(end.outcome == Outcome::kTimeout);
  CHECK(end.signal == SIGTERM);
}

TEST_CASE("signal: it reaches the job's process group") {
  Rig rig;
  rig.boot();
  JobView job =
      rig.start(shell("trap 'echo got int; exit 5' INT; echo up; while :; do sleep 0.01; done"));
  job.wait_out("up");
  job.send(link::Signal{SIGINT});
  CHECK(job.wait_end().code == 5);
  CHECK(job.out == "up\ngot int\n");
}

// FAULTS J25
TEST_CASE("stop: after the natural end it changes nothing") {
  Rig rig;
  rig.boot();
  JobSpec spec = shell("sleep 100 & echo up; exit 3");
  spec.children = Children::kWait;
  JobView job = rig.start(spec);
  while (!job.exited) REQUIRE(job.step());
  job.send(link::Stop{1000});
  const EndRecord end = job.wait_end();
  CHECK(end.outcome == Outcome::kExited);
  CHECK(end.code == 3);
  CHECK(nothing_left(job.key));
}

TEST_CASE("children: wait is for those too that hold no output, and a stop or timeout ends them") {
  Rig rig;
  rig.boot();
  const std::string file = rig.dir().path() + "/last";
  JobSpec spec =
      shell("(sleep 0.2; setsid sh -c 'sleep 0.2; echo x >" + file + "') >/dev/null 2>&1 & exit 3");
  spec.children = Children::kWait;
  EndRecord end = rig.start(spec).wait_end();
  CHECK(end.code == 3);
  CHECK(::access(file.c_str(), F_OK) == 0);

  spec = shell("sleep 100 >/dev/null 2>&1 & exit 3");
  spec.children = Children::kWait;
  JobView job = rig.start(spec);
  while (!job.exited) REQUIRE(job.step());
  job.send(link::Stop{1000});
  CHECK(job.wait_end().code == 3);
  CHECK(nothing_left(job.key));

  spec.timeout_ms = 100;
  JobView late = rig.start(spec);
  end = late.wait_end();
  CHECK(end.outcome == Outcome::kTimeout);
  CHECK(nothing_left(late.key));
}

TEST_CASE("children: kill ends what outlives the command and counts it") {
  Rig rig;
  rig.boot();
  JobView job = rig.start(shell("sleep 100 & setsid sleep 100 & echo out"));
  const EndRecord end = job.wait_end();
  CHECK(end.outcome == Outcome::kExited);
  CHECK(end.code == 0);
  CHECK(end.left_behind == 2);
  CHECK(nothing_left(job.key));
  CHECK(job.out == "out\n");
}

TEST_CASE("children: what ignores TERM is killed within the two seconds an end may take") {
  Rig rig;
  rig.boot();
  JobView job = rig.start(shell("(trap '' TERM; echo up; sleep 100; sleep 100) & exit 2"));
  const EndRecord end = job.wait_end();
  CHECK(end.code == 2);
  CHECK(end.left_behind >= 1);
  CHECK(nothing_left(job.key));
  CHECK(end.ended_ms - end.started_ms < 4000);
}

TEST_CASE("timeout: it also ends a job whose command is gone but whose output is waited for") {
  Rig rig;
  rig.boot();
  JobSpec spec = shell("sleep 100 & exit 0");
  spec.children = Children::kWait;
  spec.timeout_ms = 200;
  JobView job = rig.start(spec);
  const EndRecord end = job.wait_end();
  CHECK(end.outcome == Outcome::kTimeout);
  CHECK(nothing_left(job.key));
}

TEST_CASE("children: wait takes output until the last writer closes it") {
  Rig rig;
  rig.boot();
  JobSpec spec = shell("(sleep 0.2; echo late) & echo early");
  spec.children = Children::kWait;
  JobView job = rig.start(spec);
  const EndRecord end = job.wait_end();
  CHECK(job.out == "early\nlate\n");
  CHECK(end.left_behind == 0);
}

TEST_CASE("children: leave takes what is queued and lets the others live") {
  Rig rig;
  rig.boot();
  JobSpec spec = shell("sleep 100 & echo $!");
  spec.children = Children::kLeave;
  JobView job = rig.start(spec);
  const EndRecord end = job.wait_end();
  CHECK(end.outcome == Outcome::kExited);
  const pid_t left = std::stoi(job.out);
  CHECK(Rig::processes_of(job.key) == std::vector<pid_t>{left});
  ::kill(left, SIGKILL);
}

TEST_CASE("end: all output arrives although the command wrote it just before exiting") {
  Rig rig;
  rig.boot();
  for (int i = 0; i < 5; ++i) {
    JobView job = rig.start(shell("head -c 300000 /dev/zero | tr '\\0' x"));
    const EndRecord end = job.wait_end();
    CHECK(job.out.size() == 300000);
    CHECK(end.bytes.out == 300000);
  }
}

// FAULTS J3
TEST_CASE("end: a job that closes its output and lives is still there") {
  Rig rig;
  rig.boot();
  JobView job = rig.start(shell("exec >&- 2>&-; sleep 0.2; exit 4"));
  CHECK(job.wait_end().code == 4);
}

TEST_CASE("close: when nobody reads a stream any more the job gets SIGPIPE, as in a pipeline") {
  Rig rig;
  rig.boot();
  JobView job = rig.start(command({"yes"}));
  job.wait_out("y\ny\n");
  job.send(link::CloseOutput{Channel::kOut});
  const EndRecord end = job.wait_end();
  CHECK(end.outcome == Outcome::kSignaled);
  CHECK(end.signal == SIGPIPE);
}

TEST_CASE("disconnect: stop ends the job when its last reader goes, keep does not") {
  Rig rig;
  rig.boot();
  JobSpec spec = shell("echo up; sleep 100");
  spec.on_disconnect = OnDisconnect::kStop;
  JobView job = rig.start(spec);
  job.wait_out("up");
  job.send(link::Readers{1});
  job.send(link::Readers{0});
  EndRecord end = job.wait_end();
  CHECK(end.outcome == Outcome::kStopped);
  CHECK(end.reason == "disconnect");

  spec.on_disconnect = OnDisconnect::kKeep;
  spec.argv.back() = "echo up; read x; echo $x";
  spec.forward_stdin = true;
  JobView kept = rig.start(spec);
  kept.wait_out("up");
  kept.send(link::Readers{0});
  kept.send(link::Stdin{0, as_bytes("still here\n")});
  CHECK(kept.wait_end().outcome == Outcome::kExited);
  CHECK(kept.out == "up\nstill here\n");
}

TEST_CASE("disconnect: stop_after waits, a reader that returns in time stops the clock") {
  Rig rig;
  rig.boot();
  JobSpec spec = shell("echo up; sleep 100");
  spec.on_disconnect = OnDisconnect::kStopAfter;
  spec.on_disconnect_ms = 100;
  JobView job = rig.start(spec);
  job.wait_out("up");
  job.send(link::Readers{0});
  job.send(link::Readers{1});
  CHECK(!job.step(300));
  job.send(link::Readers{0});
  CHECK(job.wait_end().reason == "disconnect");
}

TEST_CASE("disconnect: an owner who leaves on purpose leaves the job running") {
  Rig rig;
  rig.boot();
  JobSpec spec = shell("echo up; sleep 0.3; exit 6");
  spec.on_disconnect = OnDisconnect::kStop;
  JobView job = rig.start(spec);
  job.wait_out("up");
  job.send(link::Leave{});
  job.send(link::Readers{0});
  CHECK(job.wait_end().code == 6);
}

}  // namespace
}  // namespace rexec::job
