// See child.hpp. The order matters: descriptors first (the shim's lock and socket must not live on
// here), identity before anything that touches a path, exec last.
#include "src/job/shim/child.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "src/base/cut_text.hpp"
#include "src/base/fail_point.hpp"
#include "src/base/text.hpp"
#include "src/job/ipc/codec.hpp"
#include "src/os/privilege.hpp"
#include "src/os/process.hpp"

namespace rexec::job {
namespace {

constexpr std::size_t kMaxWhat = 4096;
constexpr int kGo = 3, kReport = 4, kPlan = 5;

[[noreturn]] void give_up(Stage stage, int error, std::string what) {
  const std::string bytes = encode_failure({stage, error, std::string(cut_text(what, kMaxWhat))});
  // The pipe holds it whole; nobody to tell if that fails.
  [[maybe_unused]] const ssize_t n = ::write(kReport, bytes.data(), bytes.size());
  ::_exit(125);
}

void expect(bool done, Stage stage, std::string_view what) {
  if (!done) give_up(stage, errno, std::string(what));
}

void take_descriptors(ChildFds fds) {
  // Without them there is no way to report: the shim sees an exit 125 without a reason.
  if (!os::install_descriptors({fds.in, fds.out, fds.err, fds.go, fds.report, fds.plan}))
    ::_exit(125);
  for (const int fd : {kGo, kReport, kPlan}) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
}

ExecPlan read_plan(const LaunchParts& parts) {
  Buffer bytes(parts.exec_size);
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::pread(kPlan, bytes.data() + done, bytes.size() - done,
                              static_cast<off_t>(parts.exec_at + done));
    expect(n > 0, Stage::kSetup, "reading the plan");
    done += static_cast<std::size_t>(n);
  }
  ExecPlan plan;
  expect(decode_exec_plan(bytes, plan), Stage::kSetup, "decoding the plan");
  return plan;
}

void set_limits(const ExecPlan& plan) {
  const rlimit none{0, 0};
  expect(::setrlimit(RLIMIT_CORE, &none) == 0, Stage::kSetup, "RLIMIT_CORE");
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0 && plan.open_files <= files.rlim_max) {
    files.rlim_cur = plan.open_files;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
}

// Jobs die before the shim when memory runs out (the spawner lowered its own and the shim's score).
void reset_oom_score() {
  const int fd = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  [[maybe_unused]] const ssize_t n = ::write(fd, "0", 1);
  ::close(fd);
}

void become_user(const ExecPlan& plan) {
  if (plan.change_user) {
    const std::vector<gid_t> groups(plan.groups.begin(), plan.groups.end());
    const char* failed = os::set_ids(plan.uid, plan.gid, groups);
    expect(failed == nullptr, Stage::kUser, failed == nullptr ? "" : failed);
  }
  if (!plan.keeps_privileges)
    expect(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, Stage::kUser, "no_new_privs");
  // After setresuid, which clears it: a killed shim takes its leader along at once.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

// The directory is new, private and the user's own from the first moment.
void write_script(const ExecPlan& plan) {
  if (plan.script_path.empty()) return;
  const std::string directory = plan.script_path.substr(0, plan.script_path.rfind('/'));
  expect(::mkdir(directory.c_str(), 0700) == 0, Stage::kScript, directory);
  const int fd = ::open(plan.script_path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
  expect(fd >= 0, Stage::kScript, plan.script_path);
  expect(os::write_all(fd, as_bytes(plan.script)).has_value(), Stage::kScript, plan.script_path);
  ::close(fd);
}

void enter_workdir(const ExecPlan& plan) {
  if (::chdir(plan.workdir.c_str()) == 0) return;
  const int error = errno;
  if (!plan.workdir_asked && ::chdir("/") == 0) return;
  give_up(Stage::kWorkdir, error, plan.workdir);
}

void wait_for_leave() {
  char byte = 0;
  ssize_t n = -1;
  do n = ::read(kGo, &byte, 1);
  while (n < 0 && errno == EINTR);
  if (n != 1) ::_exit(125);  // the shim died before the start was on record: this never happened
}

// execvpe(3) without its shell: a file the kernel cannot execute is an error, never a script.
[[noreturn]] void execute(const ExecPlan& plan) {
  std::vector<char*> argv, env;
  for (const auto& a : plan.argv) argv.push_back(const_cast<char*>(a.c_str()));
  for (const auto& e : plan.env) env.push_back(const_cast<char*>(e.c_str()));
  argv.push_back(nullptr);
  env.push_back(nullptr);
  const std::string& name = plan.argv[0];
  if (name.find('/') != name.npos) {
    ::execve(name.c_str(), argv.data(), env.data());
    give_up(Stage::kExec, errno, name);
  }
  int error = ENOENT;
  for (const auto& directory : split(plan.search_path, ':')) {
    const std::string path = directory.empty() ? name : directory + "/" + name;
    ::execve(path.c_str(), argv.data(), env.data());
    if (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG) continue;
    if (errno != EACCES) give_up(Stage::kExec, errno, path);
    error = EACCES;  // remembered, but a later directory may have one that works
  }
  give_up(Stage::kExec, error, name);
}

}  // namespace

std::string encode_failure(const StartFailure& failure) {
  Writer writer;
  writer.number(static_cast<std::uint8_t>(failure.stage));
  writer.number(static_cast<std::uint32_t>(failure.error));
  writer.text(failure.what, kMaxWhat);
  return writer.take();
}

bool decode_failure(ByteSpan bytes, StartFailure& failure) {
  Reader reader(bytes);
  std::uint8_t stage = 0;
  std::uint32_t error = 0;
  reader.number(stage);
  reader.number(error);
  reader.text(failure.what, kMaxWhat);
  failure.stage = static_cast<Stage>(stage);
  failure.error = static_cast<int>(error);
  return reader.finished();
}

int exit_code_of(const StartFailure& failure) {
  if (failure.stage != Stage::kExec) return 125;
  return failure.error == ENOENT || failure.error == ENOTDIR ? 127 : 126;
}

std::string message_of(const StartFailure& failure) {
  return printable(failure.what) + ": " + std::strerror(failure.error);
}

void become_job(ChildFds fds, Terminal terminal, const LaunchParts& parts) {
  // At once: a signal sent before exec must end this process, not be ignored as the shim does.
  os::reset_signals();
  fail_point(FailPoint::kJobForked);
  take_descriptors(fds);
  ::setsid();
  if (terminal == Terminal::kYes) expect(::ioctl(0, TIOCSCTTY, 0) == 0, Stage::kSetup, "TIOCSCTTY");
  ExecPlan plan = read_plan(parts);
  if (::geteuid() == 0) reset_oom_score();
  set_limits(plan);
  ::umask(022);
  become_user(plan);
  write_script(plan);
  enter_workdir(plan);
  fail_point(FailPoint::kJobReady);
  wait_for_leave();
  fail_point(FailPoint::kJobReleased);
  execute(plan);
}

}  // namespace rexec::job
