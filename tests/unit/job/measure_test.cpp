// Measurements, not promises: run with `unit_job -ns -tc="measure:*"`. Numbers for the README and
// for before-and-after.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>

#include "tests/unit/job/rig.hpp"

namespace rexec::job {
namespace {

using Clock = std::chrono::steady_clock;
double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

std::string memory_of(pid_t pid) {
  std::ifstream smaps("/proc/" + std::to_string(pid) + "/smaps_rollup");
  std::string line, result;
  while (std::getline(smaps, line))
    for (const char* key : {"Rss:", "Pss:", "Private_Dirty:", "Private_Clean:"})
      if (line.starts_with(key)) result += line + "; ";
  return result;
}

TEST_CASE("measure: start latency" * doctest::skip()) {
  Rig rig;
  rig.boot();
  rig.wait_sync();
  std::vector<double> started, ended, bare;
  for (int i = 0; i < 300; ++i) {
    const auto begin = Clock::now();
    JobView job = rig.start(command({"/bin/true"}));
    job.wait_started();
    started.push_back(ms_since(begin));
    job.wait_end();
    ended.push_back(ms_since(begin));
    const auto spawn = Clock::now();
    auto child = os::fork_process();
    if (child->pid == 0) {
      ::execl("/bin/true", "true", nullptr);
      ::_exit(1);
    }
    os::reap_killed(child->pidfd.get());
    bare.push_back(ms_since(spawn));
    eventually([] { return false; }, 5);
  }
  std::sort(started.begin(), started.end());
  std::sort(ended.begin(), ended.end());
  std::sort(bare.begin(), bare.end());
  MESSAGE("Start to exec: p50 ", started[150], " ms, p99 ", started[297], " ms; to End: p50 ",
          ended[150], " ms, p99 ", ended[297], " ms; bare fork, exec and wait: p50 ", bare[150],
          " ms");
}

TEST_CASE("measure: throughput of stdout through shim, spool and reader" * doctest::skip()) {
  Rig rig;
  rig.boot();
  rig.wait_sync();
  for (int i = 0; i < 3; ++i) {
    const auto begin = Clock::now();
    JobView job = rig.start(command({"head", "-c", "2G", "/dev/zero"}));
    job.keep_bytes = false;
    const EndRecord end = job.wait_end();
    CHECK(job.out_bytes == 2147483648u);
    MESSAGE("2 GiB: ", 2147.483648 / (ms_since(begin) / 1000), " MB/s, job cpu ", end.cpu_s);
  }
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  MESSAGE("reader's cpu for 6 GiB: ", usage.ru_utime.tv_sec + usage.ru_stime.tv_sec, " s");
}

TEST_CASE("measure: memory of a shim and a spawner" * doctest::skip()) {
  Rig rig;
  rig.boot();
  rig.wait_sync();
  JobView job = rig.start(shell("echo up; sleep 100"));
  job.wait_out("up");
  MESSAGE("shim: ", memory_of(Rig::shim_of(rig.job_dir(job.key))));
  MESSAGE("spawner: ", memory_of(rig.spawner()));
  job.send(link::Stop{0});
  job.wait_end();
}

}  // namespace
}  // namespace rexec::job
