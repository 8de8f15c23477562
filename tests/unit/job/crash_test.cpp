// kill -9 of net, spawner, shim and job, and duplicate starts.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "src/base/file.hpp"
#include "src/job/spec/digest.hpp"
#include "src/os/proc.hpp"
#include "src/os/seqpacket.hpp"
#include "tests/unit/job/rig.hpp"

namespace rexec::job {
namespace {

void boot_again(Rig& rig) {
  rig.kill_spawner();
  rig.kill_net();
  rig.boot();
}

std::string line_count(const std::string& path) {
  const auto text = read_file(path);
  return std::to_string(text ? std::count(text->begin(), text->end(), '\n') : 0);
}

// FAULTS K3
TEST_CASE("duplicate: the same Start again runs once, while it runs and after") {
  Rig rig;
  rig.boot();
  const std::string file = rig.dir().path() + "/count";
  const JobSpec spec = shell("echo x >> " + file + "; read go");
  JobSpec waiting = spec;
  waiting.forward_stdin = true;
  const AttemptKey key = rig.new_key();
  rig.send_start(key, waiting);
  rig.send_start(key, waiting);
  JobView first = rig.expect_channel(key);
  JobView second = rig.expect_channel(key);
  second.wait_started();
  rig.send_start(key, waiting);
  JobView third = rig.expect_channel(key);
  third.wait_state();
  third.send(link::StdinEof{0});
  third.wait_end();
  rig.send_start(key, waiting);
  CHECK(rig.expect_finished(key).record.outcome == Outcome::kExited);
  CHECK(line_count(file) == "1");
}

TEST_CASE("duplicate: another attempt of the same job is another start") {
  Rig rig;
  rig.boot();
  AttemptKey key = rig.new_key();
  rig.send_start(key, shell("echo $REXEC_ATTEMPT"));
  JobView first = rig.expect_channel(key);
  first.wait_end();
  key.attempt = 2;
  rig.send_start(key, shell("echo $REXEC_ATTEMPT"));
  JobView second = rig.expect_channel(key);
  second.wait_end();
  CHECK(first.out == "1\n");
  CHECK(second.out == "2\n");
}

TEST_CASE("kill -9 of net: the spawner starts another, which hears of every job") {
  Rig rig;
  rig.boot();
  rig.wait_sync();
  JobSpec spec = shell("echo before; read x; echo after");
  spec.forward_stdin = true;
  JobView job = rig.start(spec);
  job.wait_out("before\n");
  JobView done = rig.start(command({"true"}));
  done.wait_end();
  rig.kill_net();
  job.socket.reset();
  rig.take_net();
  JobView again = rig.expect_channel(job.key);
  again.wait_state();
  CHECK(again.state->started);
  again.send(link::StdinEof{0});
  CHECK(again.wait_end().code == 0);
  CHECK(again.out == "before\nafter\n");
}

// FAULTS K16
TEST_CASE("kill -9 of the spawner: a new one adopts the job and its output goes on, nothing lost") {
  Rig rig;
  rig.boot();
  JobSpec spec = shell("i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); sleep 0.002; done");
  JobView job = rig.start(spec);
  job.wait_out("line 20\n");
  const std::string part = job.out;
  job.socket.reset();
  boot_again(rig);
  JobView again = rig.expect_channel(job.key, part.size());
  const EndRecord end = again.wait_end();
  CHECK(end.outcome == Outcome::kExited);
  StreamDigest digest(Sha256::kOff);
  digest.add(as_bytes(part));
  digest.add(as_bytes(again.out));
  CHECK(digest.xxh128() == end.xxh128.out);
  CHECK((part + again.out).size() == end.bytes.out);
}

TEST_CASE(
    "kill -9 of spawner and net while the job ends: the record is reported, once, until it is "
    "acknowledged") {
  Rig rig;
  rig.boot();
  JobSpec spec = shell("echo out; echo err >&2; exit 9");
  spec.durable = true;
  const AttemptKey key = rig.new_key();
  rig.send_start(key, spec, false);
  JobView job = rig.expect_channel(key);
  job.wait_started();  // before that the next spawner starts it
  job.socket.reset();
  rig.kill_spawner();
  rig.kill_net();
  REQUIRE(eventually([&] { return std::filesystem::exists(rig.job_dir(key) + "/exit"); }));
  rig.boot();
  const FinishedView finished = rig.expect_finished(key);
  CHECK(finished.record.code == 9);
  CHECK(finished.out == "out\n");
  CHECK(finished.err == "err\n");
  CHECK(finished.message.meta.ticket == "ticket");
  CHECK(finished.message.meta.owner == "u-0123456789ab");
  CHECK(!finished.message.reported);
  rig.wait_sync();
  rig.send(link::Reported{key});
  rig.send(link::Open{key});
  CHECK(rig.expect_finished(key).message.reported);
  boot_again(rig);
  rig.wait_sync();  // not mentioned again: expect_finished below is the answer to Open
  rig.send(link::Open{key});
  CHECK(rig.expect_finished(key).message.reported);
  rig.send(link::Remove{key});
  rig.send(link::Open{key});
  CHECK(rig.expect_refused(key).code == "unknown_job");
}

// FAULTS K8
TEST_CASE(
    "kill -9 of the shim: its whole tree is killed, the outcome is lost, and what it wrote is "
    "there") {
  Rig rig;
  rig.boot();
  JobView job = rig.start(shell("echo kept; sleep 100 & setsid sleep 100 & wait"));
  job.wait_out("kept");
  const pid_t shim = Rig::shim_of(rig.job_dir(job.key));
  REQUIRE(shim != 0);
  ::kill(shim, SIGKILL);
  const FinishedView finished = rig.expect_finished(job.key);
  CHECK(Rig::processes_of(job.key).empty());
  CHECK(finished.record.outcome == Outcome::kLost);
  CHECK(finished.record.code == 121);
  CHECK(finished.record.reason == "supervisor");
  CHECK(!finished.record.complete);
  CHECK(finished.out == "kept\n");
  rig.send_start(job.key, shell("echo never"));
  CHECK(rig.expect_finished(job.key).record.outcome == Outcome::kLost);
}

TEST_CASE("kill -9 of shim and spawner together: the new spawner kills the tree and reports lost") {
  Rig rig;
  rig.boot();
  JobView job = rig.start(shell("echo up; setsid sleep 100 & wait"));
  job.wait_out("up");
  const pid_t shim = Rig::shim_of(rig.job_dir(job.key));
  rig.kill_spawner();
  ::kill(shim, SIGKILL);
  rig.kill_net();
  rig.boot();
  CHECK(rig.expect_finished(job.key).record.reason == "supervisor");
  CHECK(Rig::processes_of(job.key).empty());
}

TEST_CASE("reboot: a started job of another boot is lost with that reason") {
  Rig rig;
  rig.boot();
  JobView job = rig.start(shell("echo up; sleep 100"));
  job.wait_out("up");
  rig.kill_spawner();
  const pid_t shim = Rig::shim_of(rig.job_dir(job.key));
  ::kill(shim, SIGKILL);
  rig.kill_net();
  const std::string file = rig.job_dir(job.key) + "/started";
  StartedRecord started = started_from_text(*read_file(file));
  started.boot_id = "another-boot";
  REQUIRE(write_file(file, to_text(started), 0600));
  REQUIRE(eventually([&] { return Rig::shim_of(rig.job_dir(job.key)) == 0; }));
  rig.boot();
  const FinishedView finished = rig.expect_finished(job.key);
  CHECK(finished.record.reason == "reboot");
  CHECK(finished.out == "up\n");
  for (const pid_t pid : Rig::processes_of(job.key)) ::kill(pid, SIGKILL);
}

// FAULTS K5
TEST_CASE("a journalled attempt that nobody started is started once by the next spawner") {
  Rig rig;
  const AttemptKey key = rig.new_key();
  const std::string file = rig.dir().path() + "/count";
  std::filesystem::create_directories(rig.job_dir(key));
  ::chmod((rig.options.data_dir + "/jobs").c_str(), 0700);
  REQUIRE(write_file(rig.job_dir(key) + "/spec", *encode_spec(shell("echo x >> " + file)), 0600));
  const link::Start start{key, "t", "o", false};
  REQUIRE(write_file(rig.job_dir(key) + "/meta", encode_meta({"t", "o", 5}, start), 0600));
  // And one that was never accepted.
  const AttemptKey torn = rig.new_key();
  std::filesystem::create_directories(rig.job_dir(torn));
  REQUIRE(write_file(rig.job_dir(torn) + "/spec", "\x81\xa4", 0600));
  rig.boot();
  REQUIRE(eventually([&] { return std::filesystem::exists(rig.job_dir(key) + "/exit"); }));
  CHECK(line_count(file) == "1");
  CHECK(!std::filesystem::exists(rig.job_dir(torn)));
  boot_again(rig);
  rig.wait_sync();
  CHECK(line_count(file) == "1");
}

// FAULTS K6
TEST_CASE("a claimed directory whose shim never got its order is begun by the next Start") {
  Rig rig;
  rig.boot();
  rig.wait_sync();
  // As after a spawner's death between rename and order: the lock is held, nothing is in the
  // journal.
  const AttemptKey key = rig.new_key();
  std::filesystem::create_directory(rig.job_dir(key));
  auto go = os::make_pipe();
  const pid_t holder = ::fork();
  if (holder == 0) {
    go->write_end.reset();
    os::UniqueFd dir(::open(rig.job_dir(key).c_str(), O_RDONLY | O_DIRECTORY));
    auto listener = os::listen_seqpacket(dir.get(), "sock");
    take_lock(dir.get());
    char byte;
    while (::read(go->read_end.get(), &byte, 1) > 0) {
    }
    ::_exit(0);
  }
  REQUIRE(eventually([&] { return Rig::shim_of(rig.job_dir(key)) == holder; }));
  rig.send_start(key, shell("echo once"));
  JobView first = rig.expect_channel(key);
  go->write_end.reset();
  ::waitpid(holder, nullptr, 0);
  JobView job = rig.expect_channel(key);
  CHECK(job.wait_end().code == 0);
  CHECK(job.out == "once\n");
}

TEST_CASE("a job whose directory is removed is ended, and its shim with it") {
  for (const char* text : {"echo up; sleep 100", "echo up; sleep 0.3", "echo up; sleep 0.3; yes"}) {
    Rig rig;
    rig.boot();
    JobSpec spec = shell(text);
    spec.output_quota = 1 << 20;
    const AttemptKey key = rig.new_key();
    rig.send_start(key, spec, false);
    JobView job = rig.expect_channel(key);
    job.wait_out("up");
    job.reading = false;
    const pid_t shim = Rig::shim_of(rig.job_dir(key));
    std::filesystem::remove_all(rig.job_dir(key));
    if (std::string_view(text).ends_with("100")) job.send(link::Stop{100});
    CHECK(eventually([&] {
      while (job.step(0)) {
      }
      return Rig::processes_of(key).empty() && ::kill(shim, 0) != 0;
    }));
    rig.kill_spawner();
  }
}

TEST_CASE("the warm shim dying makes no difference") {
  Rig rig;
  rig.boot();
  for (int i = 0; i < 3; ++i) {
    REQUIRE(eventually([&] {
      for (const auto& process : os::list_processes())
        if (process.parent == rig.spawner()) {
          const auto comm = read_file("/proc/" + std::to_string(process.pid) + "/comm");
          if (comm && *comm == "rexec-shim\n") return ::kill(process.pid, SIGKILL) == 0;
        }
      return false;
    }));
    JobView job = rig.start(command({"true"}));
    // Killed with the order in its hands, it is replaced and a new channel comes.
    while (!job.end)
      if (!job.step() && job.closed) job = rig.expect_channel(job.key);
    CHECK(job.end->code == 0);
  }
}

TEST_CASE("spawner: a data directory that others can write to is refused") {
  TempDir dir;
  ::chmod(dir.path().c_str(), 0777);
  SpawnerOptions options;
  options.data_dir = dir.path();
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(run_spawner(options));
  int status = 0;
  ::waitpid(pid, &status, 0);
  CHECK(WEXITSTATUS(status) == 1);
  CHECK(!std::filesystem::exists(dir.path() + "/jobs"));
}

TEST_CASE("spawner: a second one on the same data directory gives up") {
  Rig rig;
  rig.boot();
  rig.wait_sync();
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(run_spawner(rig.options));
  int status = 0;
  ::waitpid(pid, &status, 0);
  CHECK(WEXITSTATUS(status) == 1);
  JobView job = rig.start(command({"true"}));
  CHECK(job.wait_end().code == 0);
}

TEST_CASE("spawner: TERM ends it and net, and the jobs live on") {
  Rig rig;
  rig.boot();
  JobView job = rig.start(shell("echo up; sleep 100"));
  job.wait_out("up");
  CHECK(rig.end_spawner() == 0);
  CHECK(Rig::processes_of(job.key).size() > 0);
  rig.kill_net();
  rig.boot();
  JobView again = rig.expect_channel(job.key);
  again.send(link::Stop{1000});
  CHECK(again.wait_end().outcome == Outcome::kStopped);
}

TEST_CASE("spawner: TERM with stop_jobs stops them first") {
  Rig rig;
  rig.options.stop_jobs = true;
  rig.boot();
  JobView job = rig.start(shell("echo up; sleep 100"));
  job.wait_out("up");
  CHECK(rig.end_spawner() == 0);
  CHECK(Rig::processes_of(job.key).empty());
  CHECK(std::filesystem::exists(rig.job_dir(job.key) + "/exit"));
}

// FAULTS J17
TEST_CASE("many starts at once all run, and nothing of them stays") {
  Rig rig;
  rig.boot();
  rig.wait_sync();
  std::vector<AttemptKey> keys;
  std::vector<JobView> jobs;
  for (int i = 0; i < 200; ++i) {
    keys.push_back(rig.new_key());
    rig.send_start(keys.back(), shell("echo $REXEC_JOB"));
    jobs.push_back(rig.expect_channel(keys.back()));
  }
  for (auto& job : jobs) {
    const EndRecord end = job.wait_end();
    CHECK(end.code == 0);
    CHECK_MESSAGE(job.out == job.key.job.text + "\n", to_json(end), " gaps ", job.gaps, " limit ",
                  job.output.out_total);
  }
  CHECK(eventually([&] {
    int children = 0;
    for (const auto& process : os::list_processes()) children += process.parent == rig.spawner();
    return children == 2;  // net and the warm shim
  }));
}

}  // namespace
}  // namespace rexec::job
