// The crash experiment: SIGKILL after each system call of a shim's whole life, and of a spawner's
// start, then recovery by a new spawner and the same Start once more. However it falls, the command
// ran at most once, and exactly once unless it is reported lost.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "src/base/file.hpp"
#include "src/os/proc.hpp"
#include "tests/unit/job/rig.hpp"

namespace rexec::job {
namespace {

// Steps a process from system call to system call.
class Tracer {
 public:
  explicit Tracer(pid_t pid) : pid_(pid) {}
  // False where tracing is not allowed (the shim is not dumpable, so only root can).
  bool attach() {
    if (::ptrace(PTRACE_SEIZE, pid_, nullptr, PTRACE_O_TRACESYSGOOD) != 0) return false;
    ::ptrace(PTRACE_INTERRUPT, pid_, nullptr, nullptr);
    int status = 0;
    ::waitpid(pid_, &status, __WALL);
    ::ptrace(PTRACE_SYSCALL, pid_, nullptr, nullptr);
    return true;
  }
  // To the end of the next system call; false when the process has ended instead.
  bool step() {
    for (int stops = 0; stops < 2;) {
      int status = 0;
      if (::waitpid(pid_, &status, __WALL) != pid_ || !WIFSTOPPED(status))
        return gone_ = true, false;
      const bool syscall = WSTOPSIG(status) == (SIGTRAP | 0x80);
      const bool signal = !syscall && (status >> 16) == 0;
      if (syscall && ++stops == 2) return true;  // stays stopped
      resume(signal ? WSTOPSIG(status) : 0);
    }
    return true;
  }
  void resume(int signal = 0) { ::ptrace(PTRACE_SYSCALL, pid_, nullptr, signal); }
  void kill() {
    if (gone_) return;
    ::kill(pid_, SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, __WALL) == pid_ && WIFSTOPPED(status)) {
    }
  }

 private:
  pid_t pid_;
  bool gone_ = false;
};

pid_t warm_shim_of(pid_t spawner) {
  pid_t found = 0;
  REQUIRE(eventually([&] {
    for (const auto& process : os::list_processes()) {
      if (process.parent != spawner) continue;
      const auto comm = read_file("/proc/" + std::to_string(process.pid) + "/comm");
      const auto wchan = read_file("/proc/" + std::to_string(process.pid) + "/wchan");
      // Waiting for its order, not still settling down.
      if (comm && *comm == "rexec-shim\n" && wchan && wchan->find("skb") != std::string::npos)
        found = process.pid;
    }
    return found != 0;
  }));
  return found;
}

struct Experiment {
  Rig rig;
  std::string file;
  JobSpec spec;
  AttemptKey key;
  Experiment() : file(rig.dir().path() + "/count"), spec(shell("echo x >> " + file)) {
    rig.boot();
    rig.wait_sync();
    key = rig.new_key();
  }
  long executions() const {
    const auto text = read_file(file);
    return text ? std::count(text->begin(), text->end(), 'x') : 0;
  }
  // As the controller would: the same Start, until there is a record.
  EndRecord outcome() {
    rig.send_start(key, spec);
    while (true) {
      const link::FromSpawner message = rig.receive();
      if (const auto* finished = std::get_if<link::Finished>(&message))
        return *record_from_json(finished->record);
      if (std::holds_alternative<link::ShimChannel>(message)) {
        JobView job(key, std::move(rig.received_fds[0]));
        while (!job.end && job.step()) {
        }
        if (job.end) return *job.end;
        rig.send(link::Open{key});
      }
    }
  }
  void judge(int step) {
    const EndRecord end = outcome();
    const long ran = executions();
    CHECK_MESSAGE(ran <= 1, "after system call ", step);
    if (end.outcome != Outcome::kLost) {
      CHECK_MESSAGE(ran == 1, "after system call ", step);
      CHECK_MESSAGE(end.outcome == Outcome::kExited, to_json(end));
    }
    CHECK(Rig::processes_of(key).empty());
  }
};

enum class Victim { kShim, kShimAndSpawner };

// False when the shim ended before it had made so many calls.
bool kill_shim_after(int calls, Victim victim) {
  Experiment experiment;
  Rig& rig = experiment.rig;
  Tracer shim(warm_shim_of(rig.spawner()));
  if (!shim.attach()) return false;
  rig.send_start(experiment.key, experiment.spec);
  JobView job = rig.expect_channel(experiment.key);
  job.socket.reset();
  bool alive = true;
  for (int i = 0; i < calls && alive; ++i) {
    alive = shim.step();
    if (alive && i + 1 < calls) shim.resume();
  }
  if (victim == Victim::kShimAndSpawner) rig.kill_spawner();
  shim.kill();
  if (victim == Victim::kShimAndSpawner) {
    rig.kill_net();
    rig.boot();
  }
  experiment.judge(calls);
  return alive;
}

// FAULTS K5, K6, K8, K14
TEST_CASE("crash: a shim killed after any system call of its life runs its command at most once") {
  if (::geteuid() != 0) return;
  int calls = 1;
  while (kill_shim_after(calls, calls % 2 == 0 ? Victim::kShim : Victim::kShimAndSpawner)) ++calls;
  MESSAGE("system calls of a shim's life: ", calls - 1);
  CHECK(calls > 40);
}

// FAULTS K4, K5, K16
TEST_CASE(
    "crash: a spawner killed after any system call of a start loses nothing and starts once") {
  if (::geteuid() != 0) return;
  int calls = 1;
  for (bool reached = false; !reached; ++calls) {
    Experiment experiment;
    Rig& rig = experiment.rig;
    warm_shim_of(rig.spawner());
    Tracer spawner(rig.spawner());
    REQUIRE(spawner.attach());
    rig.send_start(experiment.key, experiment.spec);
    for (int i = 0; i < calls; ++i) {
      if (i > 0) spawner.resume();
      REQUIRE(spawner.step());
    }
    // The start is behind it when the command has run although the spawner stands still.
    reached = calls > 25 && std::filesystem::exists(rig.job_dir(experiment.key) + "/exit");
    spawner.kill();
    rig.kill_spawner();
    rig.kill_net();
    rig.boot();
    const EndRecord end = experiment.outcome();
    CHECK_MESSAGE(end.outcome == Outcome::kExited, "after system call ", calls, to_json(end));
    CHECK_MESSAGE(experiment.executions() == 1, "after system call ", calls);
  }
  MESSAGE("system calls of a spawner's start: ", calls - 1);
}

}  // namespace
}  // namespace rexec::job
