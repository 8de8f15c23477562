// Decisions without processes: who a job may be, and net as the spawner starts it.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "src/job/shim/shim.hpp"
#include "src/job/spawner/identity.hpp"
#include "src/job/spawner/spawner.hpp"
#include "src/os/seqpacket.hpp"
#include "tests/unit/job/rig.hpp"

namespace rexec::job {
namespace {

struct Accounts {
  TempDir dir;
  UserPolicy policy;
  Accounts() {
    policy.files.directory = dir.path();
    std::ofstream(dir.path() + "/passwd") << "root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/:/bin/sh\n"
                                             "ann:x:1001:1001::/home/ann:/bin/sh\n"
                                             "www:x:33:33::/:/bin/sh\n"
                                             "dyn:x:62000:62000::/:/bin/sh\n"
                                             "nobody:x:65534:65534::/:/bin/sh\n"
                                             "rexec:x:5009:5009::/:/bin/sh\n"
                                             "alias:x:5009:5009::/:/bin/sh\n"
                                             "bob:x:1002:1002::/home/bob:/bin/sh\n"
                                             "old:x:1003:1003::/:/bin/sh\n";
    std::ofstream(dir.path() + "/group") << "ann:x:1001:\nadm:x:4:ann\nbob:x:1002:\n";
    std::ofstream(dir.path() + "/shadow") << "old:!x:1:0:99999:7:::\nbob:x:1:0:99999:7::5:\n";
  }
  std::string verdict(const std::string& user, const std::string& group = "") {
    JobSpec spec;
    spec.user = user;
    spec.group = group;
    auto found = find_job_user(spec, policy);
    REQUIRE(found);
    if (!*found) return "unknown";
    const auto admitted = admit_user(spec, policy, **found);
    return admitted ? (*found)->name + ":" + std::to_string((*found)->gid)
                    : admitted.error().message;
  }
};

// FAULTS A15, A18
TEST_CASE("identity: the node's list decides; a star is nobody of uid 0") {
  if (::geteuid() != 0) return;
  Accounts a;
  a.policy.run_as = "ann";
  CHECK(a.verdict("") == "ann:1001");
  CHECK(a.verdict("ann") == "ann:1001");
  CHECK(a.verdict("root") == "this node does not allow jobs to run as root");
  CHECK(a.verdict("nobody-here") == "unknown");
  a.policy.allow_users = {"*"};
  CHECK(a.verdict("toor").ends_with("toor is an account of the system"));
  CHECK(a.verdict("0").ends_with("root is an account of the system"));
  CHECK(a.verdict("old") == "the account old is locked");
  CHECK(a.verdict("bob") == "the account bob has expired");
  a.policy.allow_users = {"root"};
  CHECK(a.verdict("root") == "root:0");
}

TEST_CASE("identity: a star is people; system accounts and rexec's own must be named one by one") {
  if (::geteuid() != 0) return;
  Accounts a;
  a.policy.run_as = "ann";
  a.policy.allow_users = {"*"};
  const std::string any = "this node allows jobs to run as any person, and ";
  for (const std::string name : {"root", "www", "dyn", "nobody"})
    CHECK(a.verdict(name) == any + name + " is an account of the system");
  const std::string keys = ", which owns the keys of rexec itself";
  CHECK(a.verdict("rexec") == "jobs do not run as rexec" + keys);
  CHECK(a.verdict("5009") == "jobs do not run as rexec" + keys);
  CHECK(a.verdict("alias") == "jobs do not run as alias" + keys);
  a.policy.allow_users = {"*", "www", "rexec"};
  CHECK(a.verdict("www") == "www:33");
  CHECK(a.verdict("rexec") == "rexec:5009");
  CHECK(a.verdict("alias") == "jobs do not run as alias" + keys);
  a.policy.allow_users = {};
  a.policy.run_as = "rexec";
  CHECK(a.verdict("") == "jobs do not run as rexec" + keys);
  a.policy.run_as = "www";
  CHECK(a.verdict("") == "www:33");
}

TEST_CASE("identity: where people begin is what login.defs says") {
  if (::geteuid() != 0) return;
  Accounts a;
  a.policy.allow_users = {"*"};
  std::ofstream(a.dir.path() + "/login.defs") << "#UID_MIN 5\nUID_MINIMUM 7\nUID_MIN\t\t  1002\n";
  CHECK(a.verdict("ann").ends_with(" is an account of the system"));
  CHECK(a.verdict("bob") == "the account bob has expired");
}

TEST_CASE("identity: a group must be the user's own") {
  if (::geteuid() != 0) return;
  Accounts a;
  a.policy.run_as = "ann";
  CHECK(a.verdict("", "adm") == "ann:4");
  CHECK(a.verdict("", "bob") == "ann is not a member of the group bob");
  CHECK(a.verdict("", "none") == "no group none here");
}

TEST_CASE("identity: without root only the own user") {
  if (::geteuid() == 0) return;
  UserPolicy policy;
  policy.allow_users = {"*"};
  JobSpec spec;
  auto own = find_job_user(spec, policy);
  REQUIRE(own);
  CHECK(admit_user(spec, policy, **own));
  spec.user = "root";
  auto root = find_job_user(spec, policy);
  CHECK(!admit_user(spec, policy, **root));
}

TEST_CASE(
    "identity: setuid programs keep their rights where the node allows it, for its own user") {
  UserPolicy policy;
  JobSpec spec;
  const os::User own{"own", ::geteuid(), ::getegid(), "/", "/bin/sh", {}};
  const os::User other{"other", ::geteuid() + 1, ::getegid(), "/", "/bin/sh", {}};
  CHECK(admit_privileges(spec, policy, other));
  spec.privileges = Privileges::kKeep;
  const auto refused = admit_privileges(spec, policy, own);
  REQUIRE(!refused);
  CHECK(refused.error().code == Code::kRefusedByNode);
  CHECK(refused.error().message.find("privileges = \"keep\" in agent.toml") != std::string::npos);
  policy.most_privileges = Privileges::kKeep;
  CHECK(admit_privileges(spec, policy, own));
  CHECK(!admit_privileges(spec, policy, other));
}

// FAULTS J6
TEST_CASE(
    "limits: a fork bomb stays within its processes and stop ends it, or limits are refused") {
  Rig rig;
  rig.boot();
  // The leader forks nothing after the bomb: it would get no process either, and end by itself.
  JobSpec spec = shell(
      "bomb() { bomb | bomb & }; bomb; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo up; "
      "exec sleep 100");
  spec.pids = 64;
  const AttemptKey key = rig.new_key();
  rig.send_start(key, spec);
  const os::LimitRoots roots = find_cgroups().limits;
  if (!roots.missing({0, 0, 1}).empty()) {
    CHECK(rig.expect_refused(key).message.starts_with("limits are unavailable on this node"));
    return;
  }
  JobView job = rig.expect_channel(key);
  job.wait_out("up");
  CHECK(Rig::processes_of(key).size() <= 64);
  job.send(link::Stop{0});
  CHECK(job.wait_end().outcome == Outcome::kStopped);
  CHECK(Rig::processes_of(key).empty());
}

// FAULTS J7
TEST_CASE("limits: beyond its memory the job is killed and the record says oom") {
  Rig rig;
  rig.boot();
  JobSpec spec = shell("head -c 200M /dev/zero | tail -c 150M > /dev/null");
  spec.memory_bytes = 32 << 20;
  spec.cpu_milli = 900;
  const AttemptKey key = rig.new_key();
  rig.send_start(key, spec);
  const os::LimitRoots roots = find_cgroups().limits;
  if (!roots.missing({1, 1, 0}).empty()) {
    CHECK(rig.expect_refused(key).code == "refused_by_node");
    return;
  }
  JobView job = rig.expect_channel(key);
  const EndRecord end = job.wait_end();
  CHECK(end.oom);
  CHECK(end.reason == "oom");
  CHECK(end.code == 137);
}

// FAULTS J7: version 1 ends one process, and that is not the leader.
TEST_CASE("limits: what is left of a job that ran out of memory is ended with it") {
  Rig rig;
  rig.boot();
  JobSpec spec =
      shell("head -c 200M /dev/zero | tail -c 150M > /dev/null; echo on; exec sleep 100");
  spec.memory_bytes = 32 << 20;
  const AttemptKey key = rig.new_key();
  rig.send_start(key, spec);
  if (!find_cgroups().limits.missing({0, 1, 0}).empty()) {
    CHECK(rig.expect_refused(key).code == "refused_by_node");
    return;
  }
  JobView job = rig.expect_channel(key);
  const EndRecord end = job.wait_end();
  CHECK(end.oom);
  CHECK(end.reason == "oom");
  CHECK(end.outcome == Outcome::kSignaled);
  CHECK(end.code == 137);
  CHECK(Rig::processes_of(key).empty());
}

// Not a test: what the next one starts as net.
TEST_CASE("helper: net" * doctest::skip()) {
  const auto memfd = os::make_memfd("spec", as_bytes(*encode_spec(command({"true"}))));
  const link::Start start{{JobId{"j-0123456789ab"}, 1}, "", "", true};
  const int fds[] = {memfd->get()};
  os::send_message(kNetSpawnerFd, as_bytes(link::encode(link::ToSpawner{start})), fds);
  (void)os::write_all(kNetReadyFd, as_bytes("ready " + std::to_string(::getuid()) + "\n"));
  ::close(kNetReadyFd);
  std::uint8_t buffer[4096];
  os::set_blocking(kNetSpawnerFd, os::Blocking::kYes);
  while (true) {
    const os::Received got = os::receive_message(kNetSpawnerFd, buffer);
    if (got.status != os::IoStatus::kDone) ::_exit(1);
    const auto message = link::decode_from_spawner({buffer, got.size});
    if (std::holds_alternative<link::ShimChannel>(*message)) ::_exit(kNetFatalExit);
  }
}

TEST_CASE(
    "spawner: net is executed with its two descriptors, and its fatal exit is the spawner's") {
  TempDir dir;
  auto pipe = os::make_pipe();
  SpawnerOptions options;
  options.data_dir = dir.path();
  options.net_argv = {"unit_job", "-ns", "-tc=helper: net"};
  options.ready_fd = pipe->write_end.get();
  if (::getuid() == 0) options.net_user = *os::find_user({}, "nobody");
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(run_spawner(options));
  pipe->write_end.reset();
  std::string text;
  char block[64];
  ssize_t n = 0;
  while ((n = ::read(pipe->read_end.get(), block, sizeof(block))) > 0)
    text.append(block, static_cast<std::size_t>(n));
  int status = 0;
  ::waitpid(pid, &status, 0);
  CHECK(text == "ready " + std::to_string(::getuid() == 0 ? 65534 : ::getuid()) + "\n");
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == kNetFatalExit);
  const std::string job = dir.path() + "/jobs/j-0123456789ab.1";
  CHECK(eventually([&] { return std::filesystem::exists(job + "/exit"); }));
}

}  // namespace
}  // namespace rexec::job
