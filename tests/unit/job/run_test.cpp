// What a job gets and what comes back, through a real spawner and shim.
#include <doctest/doctest.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "src/base/file.hpp"
#include "src/base/text.hpp"
#include "src/job/spec/digest.hpp"
#include "src/wire/maps.hpp"
#include "tests/unit/job/rig.hpp"

namespace rexec::job {
namespace {

TEST_CASE("run: true exits with 0 and its record is on disk before End") {
  Rig rig;
  rig.boot();
  JobView job = rig.start(command({"true"}));
  const EndRecord end = job.wait_end();
  CHECK(end.outcome == Outcome::kExited);
  CHECK(end.code == 0);
  CHECK(end.complete);
  CHECK(end.node == "node-t");
  CHECK(end.key == job.key);
  CHECK(end.xxh128.out == "99aa06d3014798d86001c324468d497f");
  CHECK(end.started_ms > 0);
  CHECK(std::filesystem::exists(rig.job_dir(job.key) + "/exit"));
  CHECK(job.started);
}

TEST_CASE("run: both streams, the exit code and the digests are the command's") {
  Rig rig;
  rig.boot();
  JobSpec spec = shell("printf 'to out'; printf 'to err' >&2; exit 7");
  spec.sha256 = true;
  JobView job = rig.start(spec);
  const EndRecord end = job.wait_end();
  CHECK(job.out == "to out");
  CHECK(job.err == "to err");
  CHECK(end.code == 7);
  CHECK(end.bytes == PerStream<std::uint64_t>{6, 6});
  StreamDigest digest(Sha256::kOn);
  digest.add(as_bytes("to out"));
  CHECK(end.xxh128.out == digest.xxh128());
  CHECK(end.sha256.out == digest.sha256());
  REQUIRE(job.exited);
  CHECK(job.exited->code == 7);
}

// FAULTS J1
TEST_CASE(
    "run: what cannot be executed is 127 or 126 with the kernel's words, and was not started") {
  Rig rig;
  rig.boot();
  const std::string plain = rig.dir().path() + "/plain", broken = rig.dir().path() + "/broken";
  REQUIRE(write_file(plain, "x", 0644));
  REQUIRE(write_file(broken,
                     std::string("\x7f"
                                 "ELF broken"),
                     0755));
  std::filesystem::permissions(rig.dir().path(), std::filesystem::perms(0755));
  struct Row {
    std::vector<std::string> argv;
    int code;
    std::string text;
  };
  const std::vector<Row> rows{
      {{"no-such-command-at-all"}, 127, "No such file or directory"},
      {{"/no/such/path"}, 127, "No such file or directory"},
      {{"/etc/passwd/x"}, 127, "Not a directory"},
      {{plain}, 126, "Permission denied"},
      {{"/tmp"}, 126, "Permission denied"},
      {{broken}, 126, "Exec format error"},
      {{"true", std::string(200000, 'x')}, 126, "Argument list too long"},
  };
  for (const Row& row : rows) {
    JobView job = rig.start(command(row.argv));
    const EndRecord end = job.wait_end();
    CHECK(end.outcome == Outcome::kNotStarted);
    CHECK(end.code == row.code);
    CHECK(end.message.find(row.text) != std::string::npos);
    CHECK(end.reason == "exec");
    CHECK(!job.started);
    CHECK(end.started_ms == 0);
  }
}

TEST_CASE(
    "run: PATH is searched as execvpe does, but a file without #! is never given to a shell") {
  Rig rig;
  rig.boot();
  const std::string dir = rig.dir().path();
  std::filesystem::permissions(dir, std::filesystem::perms(0755));
  REQUIRE(write_file(dir + "/tool", "echo from a shell\n", 0755));
  JobSpec spec = command({"tool"});
  spec.env = {{"PATH", "/nowhere:" + dir}};
  CHECK(rig.start(spec).wait_end().code == 126);
  // Not executable in the first directory, fine in the second.
  REQUIRE(write_file(dir + "/ls", "", 0644));
  spec.argv = {"ls", "/dev/null"};
  spec.env = {{"PATH", dir + ":/usr/bin:/bin"}};
  JobView job = rig.start(spec);
  CHECK(job.wait_end().code == 0);
  CHECK(job.out == "/dev/null\n");
}

TEST_CASE("run: argv arrives as bytes, empty and odd ones too") {
  Rig rig;
  rig.boot();
  const std::string odd = "\xff\xfe \n'\"$(id)*\x01";
  JobView job = rig.start(command({"/usr/bin/printf", "%s|", "", odd, "--", "-rf"}));
  job.wait_end();
  CHECK(job.out == "|" + odd + "|--|-rf|");
}

TEST_CASE("run: the environment is exactly the promised one, explicit pairs win") {
  Rig rig;
  rig.boot();
  ::setenv("SECRET_OF_THE_AGENT", "x", 1);
  JobSpec spec = command({"/usr/bin/env"});
  spec.env = {{"EXTRA", "a b"}, {"LANG", "C"}};
  JobView job = rig.start(spec);
  job.wait_end();
  const passwd* self = ::getpwuid(::getuid());
  std::vector<std::string> names;
  for (const auto& line : split(job.out, '\n'))
    if (!line.empty()) names.push_back(line.substr(0, line.find('=')));
  std::sort(names.begin(), names.end());
  CHECK(names == std::vector<std::string>{"EXTRA", "HOME", "LANG", "LOGNAME", "PATH",
                                          "REXEC_ATTEMPT", "REXEC_JOB", "REXEC_NODE", "SHELL", "TZ",
                                          "USER"});
  CHECK(job.out.find("EXTRA=a b\n") != std::string::npos);
  CHECK(job.out.find("LANG=C\n") != std::string::npos);
  CHECK(job.out.find("USER=" + std::string(self->pw_name) + "\n") != std::string::npos);
  CHECK(job.out.find("REXEC_JOB=" + job.key.job.text + "\n") != std::string::npos);
  CHECK(job.out.find("REXEC_NODE=node-t\n") != std::string::npos);
  CHECK(job.out.find("REXEC_ATTEMPT=1\n") != std::string::npos);
}

TEST_CASE("run: a spec gets nothing of the agent's environment, whatever it names") {
  Rig rig;
  ::setenv("SECRET_OF_THE_AGENT", "s3cr3t", 1);
  rig.boot();
  // Keys of an older spec among them; and what the supervisor and what started it were given.
  const auto bytes =
      wire::pack({{"argv",
                   {wire::bin("/bin/sh"), wire::bin("-c"),
                    wire::bin("env; for p in $PPID $(cut -d' ' -f4 /proc/$PPID/stat); do "
                              "tr '\\0' '\\n' < /proc/$p/environ; done; echo done")}},
                  {"user", wire::bin(::getuid() == 0 ? "nobody" : "")},
                  {"env_names", {wire::bin("SECRET_OF_THE_AGENT")}}});
  const AttemptKey key = rig.new_key();
  const auto memfd = os::make_memfd("spec", as_bytes(bytes));
  rig.send(link::Start{key, "", "", true}, memfd->get());
  JobView job = rig.expect_channel(key);
  CHECK(job.wait_end().code == 0);
  CHECK(job.out.ends_with("done\n"));
  CHECK(job.out.find("s3cr3t") == std::string::npos);
}

TEST_CASE("run: a job may open its standard streams by name, as another user too") {
  Rig rig;
  rig.boot();
  JobSpec spec = shell("echo out > /dev/stdout; echo err > /dev/stderr; cat /dev/stdin");
  spec.forward_stdin = true;
  if (::getuid() == 0) spec.user = "nobody";
  JobView job = rig.start(spec);
  job.wait_started();
  job.send(link::Stdin{0, as_bytes("in\n")});
  job.send(link::StdinEof{3});
  CHECK(job.wait_end().code == 0);
  CHECK(job.out == "out\nin\n");
  CHECK(job.err == "err\n");
}

// FAULTS J16
TEST_CASE(
    "run: descriptors 0, 1, 2 only, default signals, empty mask, own session, no core files") {
  Rig rig;
  rig.boot();
  JobView job = rig.start(shell(
      "ls /proc/self/fd | tr '\\n' ' '; grep -E 'Sig(Blk|Ign|Cgt)|NoNewPrivs' /proc/self/status;"
      "ulimit -c; umask; readlink /proc/self/fd/0; ps -o sid=,pid= -p $$"));
  job.wait_end();
  CHECK(job.out.starts_with("0 1 2 3 "));  // 3 is ls reading the directory
  CHECK(job.out.find("0 1 2 3 4") == std::string::npos);
  CHECK(job.out.find("SigBlk:\t0000000000000000") != std::string::npos);
  CHECK(job.out.find("SigIgn:\t0000000000000000") != std::string::npos);
  CHECK(job.out.find("NoNewPrivs:\t1") != std::string::npos);
  CHECK(job.out.find("\n0\n0022\n/dev/null\n") != std::string::npos);
  const auto lines = split(job.out, '\n');
  const auto ids = split(lines[lines.size() - 2], ' ');
  std::vector<std::string> numbers;
  for (const auto& id : ids)
    if (!id.empty()) numbers.push_back(id);
  REQUIRE(numbers.size() == 2);
  CHECK(numbers[0] == numbers[1]);
}

TEST_CASE("run: the job cannot see the agent's open files or its lock") {
  Rig rig;
  rig.boot();
  JobView job = rig.start(shell("ls -l /proc/self/fd"));
  job.wait_end();
  CHECK(job.out.find("socket:") == std::string::npos);
  CHECK(job.out.find("lock") == std::string::npos);
  CHECK(job.out.find("memfd") == std::string::npos);
}

TEST_CASE("run: a missing working directory is 125 and named; a missing HOME only means /") {
  Rig rig;
  rig.boot();
  JobSpec spec = command({"/bin/pwd"});
  spec.workdir = "/no/such/dir";
  const EndRecord end = rig.start(spec).wait_end();
  CHECK(end.outcome == Outcome::kNotStarted);
  CHECK(end.code == 125);
  CHECK(end.reason == "workdir");
  CHECK(end.message == "/no/such/dir: No such file or directory");
  spec.workdir = "/usr";
  JobView job = rig.start(spec);
  job.wait_end();
  CHECK(job.out == "/usr\n");
}

TEST_CASE("run: a signal's end is 128 + n, and the record names it") {
  Rig rig;
  rig.boot();
  // FAULTS K9
  const EndRecord end = rig.start(shell("kill -9 $$")).wait_end();
  CHECK(end.outcome == Outcome::kSignaled);
  CHECK(end.code == 137);
  CHECK(end.signal == 9);
}

TEST_CASE("run: a script runs by its #! with its arguments, as a private file that goes away") {
  Rig rig;
  rig.boot();
  JobSpec spec;
  spec.script =
      "#!/bin/sh\nstat -c '%a %u' \"$0\" \"$(dirname \"$0\")\"; echo \"$0\" \"$1\" \"$#\"\n";
  spec.argv = {"dir/my script.sh", "first arg", "second"};
  JobView job = rig.start(spec);
  CHECK(job.wait_end().code == 0);
  const std::string uid = std::to_string(::getuid());
  CHECK(job.out.starts_with("700 " + uid + "\n700 " + uid + "\n/tmp/rexec-"));
  CHECK(job.out.ends_with("/my_script.sh first arg 2\n"));
  const auto lines = split(job.out, '\n');
  const std::string path = lines[2].substr(0, lines[2].find(" first"));
  CHECK(!std::filesystem::exists(std::filesystem::path(path).parent_path()));
  spec.script = "echo plain sh\n";
  JobView sh = rig.start(spec);
  CHECK(sh.wait_end().code == 0);
  CHECK(sh.out == "plain sh\n");
}

TEST_CASE("run: another user's job has that user's ids, groups and home") {
  if (::getuid() != 0) return;
  Rig rig;
  rig.boot();
  JobSpec spec =
      shell("id -u; id -g; id -G; echo $HOME $USER; cd; grep -E 'Cap(Eff|Prm)' /proc/self/status");
  spec.user = "nobody";
  JobView job = rig.start(spec);
  CHECK(job.wait_end().code == 0);
  CHECK(job.out.starts_with("65534\n65534\n65534\n/nonexistent nobody\n"));
  CHECK(job.out.find("CapEff:\t0000000000000000") != std::string::npos);
}

// FAULTS A14
TEST_CASE("run: an unknown or forbidden user is refused before anything is forked") {
  Rig rig;
  rig.options.allow_users = {};
  rig.boot();
  JobSpec spec = command({"true"});
  for (const char* user : {"no-such-user-here", "daemon", "1"}) {
    spec.user = user;
    const AttemptKey key = rig.new_key();
    rig.send_start(key, spec);
    const link::Refused refused = rig.expect_refused(key);
    CHECK(refused.code == "refused_by_node");
    CHECK(!std::filesystem::exists(rig.job_dir(key)));
  }
}

TEST_CASE("run: a spec that is not one is refused and leaves nothing") {
  Rig rig;
  rig.boot();
  const AttemptKey key = rig.new_key();
  const auto memfd = os::make_memfd("spec", as_bytes("garbage"));
  rig.send(link::Start{key, "", "", true}, memfd->get());
  CHECK(rig.expect_refused(key).code == "usage");
  CHECK(!std::filesystem::exists(rig.job_dir(key)));
  rig.send(link::Start{{JobId{"../../etc"}, 1}, "", "", true}, memfd->get());
  CHECK(rig.expect_refused({JobId{"../../etc"}, 1}).code == "protocol");
  rig.send(link::Open{rig.new_key()});
}

TEST_CASE("run: a terminal has a size, is the controlling one, and can be resized") {
  Rig rig;
  rig.boot();
  JobSpec spec = shell(
      "stty size; tty | cut -c1-9; echo $TERM; trap 'stty size; exit 3' WINCH; echo ok; while :; "
      "do sleep 0.01; done");
  spec.tty = TtySpec{33, 99, "vt220"};
  JobView job = rig.start(spec);
  job.wait_out("ok\r\n");
  CHECK(job.out.starts_with("33 99\r\n/dev/pts/\r\nvt220\r\n"));
  job.send(link::Resize{40, 120});
  const EndRecord end = job.wait_end();
  CHECK(job.out.find("40 120") != std::string::npos);
  CHECK(end.code == 3);
  CHECK(end.bytes.err == 0);
}

TEST_CASE("run: a terminal's stdin ends with its end-of-file key, Ctrl-C is a key") {
  Rig rig;
  rig.boot();
  JobSpec spec =
      shell("stty -echo; echo ready; cat; trap 'exit 9' INT; echo done; sleep 100 & wait");
  spec.tty = TtySpec{};
  JobView job = rig.start(spec);
  job.wait_out("ready\r\n");
  job.send(link::Stdin{0, as_bytes("line\n")});
  job.wait_out("line\r\n");
  job.send(link::Stdin{5, as_bytes("\x04")});
  job.wait_out("done\r\n");
  job.send(link::Stdin{6, as_bytes("\x03")});
  CHECK(job.wait_end().code == 9);
}

}  // namespace
}  // namespace rexec::job
