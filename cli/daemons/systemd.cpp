#include "cli/daemons/systemd.hpp"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <climits>
#include <ctime>
#include <functional>

#include "src/agent/agent.hpp"
#include "src/base/clock.hpp"
#include "src/base/file.hpp"
#include "src/base/text.hpp"
#include "src/controller/server/server.hpp"
#include "src/os/process.hpp"

namespace rexec::cli {
namespace {

constexpr const char* kUnitFolder = "/etc/systemd/system/";
constexpr Millis kUpWithin{30'000};

Result<std::string> own_path() {
  char path[PATH_MAX];
  const ssize_t n = ::readlink("/proc/self/exe", path, sizeof path);
  if (n <= 0) return fail_errno("/proc/self/exe", errno);
  return std::string(path, static_cast<std::size_t>(n));
}

// To its end; its words are the error's when it fails.
Result<void> systemctl(const std::vector<std::string>& words, const std::string& unit) {
  std::vector<std::string> argv{"/usr/bin/systemctl"};
  argv.insert(argv.end(), words.begin(), words.end());
  Result<os::Program> program = os::run_program(argv, {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"});
  if (!program) return std::unexpected(program.error());
  std::string said;
  char part[1024];
  for (ssize_t n = 0; (n = ::read(program->output.get(), part, sizeof part)) > 0;) {
    if (said.size() < 4096) said.append(part, static_cast<std::size_t>(n));
  }
  int status = 0;
  if (::waitpid(program->child.pid, &status, 0) < 0) return fail_errno("systemctl", errno);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return fail(Code::kIo,
              "systemctl " + words[0] + " failed" + (said.empty() ? "" : ": " + printable(said)),
              "see: journalctl -u " + unit);
}

bool is_up(const Result<wire::Map>& status) {
  return status && wire::bool_or(*status, "running", false) &&
         wire::bool_or(*status, "online", true);
}

// Writes the unit, enables and starts it, and waits until `up` says that it is.
Result<void> start_unit(const std::string& unit, const std::string& text,
                        const std::function<bool()>& up) {
  const std::string service = unit + ".service";
  Result<void> step = write_file(kUnitFolder + service, text, 0644);
  if (step) step = systemctl({"daemon-reload"}, unit);
  if (step) step = systemctl({"enable", service}, unit);
  if (step) step = systemctl({"restart", service}, unit);
  if (!step) return step;
  const BootTime until = BootClock::now() + kUpWithin;
  while (BootClock::now() < until) {
    if (up()) return {};
    const timespec pause{0, 100'000'000};
    ::clock_nanosleep(CLOCK_BOOTTIME, 0, &pause, nullptr);
  }
  return fail(Code::kTimeout, unit + " did not come up within " + format_duration(kUpWithin),
              "see: journalctl -u " + unit);
}

// One argument of ExecStart=: quotes, backslashes, specifiers and variables mean themselves.
std::string unit_quote(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (c == '%' || c == '$') quoted += c;
    quoted += c;
  }
  return quoted + '"';
}

}  // namespace

bool has_systemd() { return ::access("/run/systemd/system", F_OK) == 0; }

std::string agent_unit(const std::string& binary, const std::string& data) {
  // Jobs belong to shims that outlive the agent, hence KillMode; their cgroups are ours, hence
  // Delegate.
  return "# written by rexec join; see rexec-join(1)\n"
         "[Unit]\nDescription=rexec "
         "agent\nAfter=network-online.target\nWants=network-online.target\n\n"
         "[Service]\nExecStart=" +
         unit_quote(binary) + " agent run --data " + unit_quote(data) +
         "\nRestart=always\nRestartSec=2\nKillMode=process\nDelegate=yes\nTasksMax=infinity\n"
         "OOMPolicy=continue\n\n[Install]\nWantedBy=multi-user.target\n";
}

std::string controller_unit(const std::string& binary, const std::string& data) {
  return "# written by rexec controller install; see rexec-controller(1)\n"
         "[Unit]\nDescription=rexec "
         "controller\nAfter=network-online.target\nWants=network-online.target\n\n"
         "[Service]\nExecStart=" +
         unit_quote(binary) + " controller run --data " + unit_quote(data) +
         "\nRestart=always\nRestartSec=2\nLimitNOFILE=1048576\nLimitCORE=0\n\n"
         "[Install]\nWantedBy=multi-user.target\n";
}

Result<void> start_agent_unit(const std::string& data) {
  const Result<std::string> binary = own_path();
  if (!binary) return std::unexpected(binary.error());
  return start_unit("rexec-agent", agent_unit(*binary, data),
                    [&data] { return is_up(agent::local_status(data)); });
}

Result<void> start_controller_unit(const std::string& data) {
  const Result<std::string> binary = own_path();
  if (!binary) return std::unexpected(binary.error());
  return start_unit("rexec-controller", controller_unit(*binary, data),
                    [&data] { return is_up(controller::local_status(data)); });
}

}  // namespace rexec::cli
