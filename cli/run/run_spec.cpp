// From flags to the job's spec: argv verbatim, the environment, the user, the limits.
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <climits>
#include <cstdlib>

#include "cli/run/run_flags.hpp"
#include "cli/run/terminal.hpp"
#include "src/base/amount.hpp"
#include "src/base/file.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

std::unexpected<Error> of_flag(const std::string& flag, const Error& error,
                               const std::string& hint) {
  return fail(error.code, flag + ": " + error.message, error.hint.empty() ? hint : error.hint);
}

using Environment = std::vector<std::pair<std::string, std::string>>;

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// "K=V" as it is, "K" from this process where it is set.
void add_variable(const std::string& text, Environment& into) {
  const auto equals = text.find('=');
  if (equals != std::string::npos) {
    into.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  } else if (const char* value = std::getenv(text.c_str()); value != nullptr) {
    into.emplace_back(text, value);
  }
}

// A line of a file or the value of --env: what a shell would read otherwise is an error, not a
// strange name. Any other name is one, also one that no shell can set: execve takes it.
Result<void> check_variable(const std::string& text) {
  const std::string variable = text.substr(0, text.find('='));
  const bool has_space = variable.find_first_of(" \t\n") != std::string::npos;
  if (!variable.empty() && !has_space && text.find('\0') == std::string::npos) return {};
  const std::string hint =
      "write K=V, without export, quotes or spaces around K; K alone is passed on from here";
  return fail(Code::kUsage, "\"" + printable(text.substr(0, 64)) + "\" is not K=V", hint);
}

Result<void> read_environment(const Args& args, job::JobSpec& spec) {
  for (const std::string& path : args.values("env-file")) {
    const Result<std::string> text = read_file(path);
    if (!text) return of_flag("--env-file", text.error(), "name a file of K=V lines");
    Result<Environment> parsed = parse_env_file(*text, path);
    if (!parsed) return std::unexpected(parsed.error());
    spec.env.insert(spec.env.end(), parsed->begin(), parsed->end());
  }
  for (const std::string& text : args.values("env")) {
    const Result<void> good = check_variable(text);
    if (!good) return of_flag("--env", good.error(), {});
    add_variable(text, spec.env);
  }
  // The last of a name wins, as in a shell; the spec holds each once.
  Environment unique;
  for (auto at = spec.env.rbegin(); at != spec.env.rend(); ++at) {
    const bool is_known = std::any_of(unique.begin(), unique.end(),
                                      [&](const auto& other) { return other.first == at->first; });
    if (!is_known) unique.insert(unique.begin(), *at);
  }
  spec.env = std::move(unique);
  return {};
}

Result<void> read_command(const Args& args, Manner manner, job::JobSpec& spec) {
  const auto& words = args.words();
  const auto rest = words.begin() + (words.empty() ? 0 : 1);
  if (manner == Manner::kShell) {
    // The node knows the user's shell, the client does not.
    spec.argv = {"/bin/sh", "-c", "exec \"${SHELL:-/bin/sh}\" -l"};
    return {};
  }
  if (args.has("sh") && args.has("script")) {
    return fail(Code::kUsage, "--sh and --script are two ways to say what to run: give one");
  }
  if (args.has("sh")) {
    spec.argv = {"/bin/sh", "-c", args.value("sh"), "sh"};
  } else if (args.has("script")) {
    const std::string path = args.value("script");
    Result<std::string> text = read_file(path, job::kMaxSpecBytes);
    if (!text) return of_flag("--script", text.error(), "name a script that is here");
    spec.script = std::move(*text);
    spec.argv = {base_name(path)};
  } else if (rest == words.end()) {
    const std::string taken = args.last_taken();
    return fail(Code::kUsage, "no command: what shall run on " + printable(args.word(0)) + "?",
                (taken.empty() ? "" : taken + "\n") + "a shell on a terminal: rexec shell " +
                    args.word(0) + "\nsee: rexec run --help");
  }
  spec.argv.insert(spec.argv.end(), rest, words.end());
  return {};
}

Result<void> read_place(const Args& args, job::JobSpec& spec) {
  spec.workdir = args.value("workdir");
  if (args.has("here")) {
    char here[PATH_MAX];
    if (args.has("workdir")) {
      return fail(Code::kUsage, "--here and --workdir both name the directory: give one");
    }
    if (::getcwd(here, sizeof here) == nullptr) {
      return of_flag("--here", fail_errno("this directory", errno).error(),
                     "it was removed: cd to one that is there, or name one with --workdir DIR");
    }
    spec.workdir = here;
  }
  if (args.has("workdir") && spec.workdir.empty()) {
    return fail(Code::kUsage, "--workdir: an empty path",
                "write a directory of the node; without --workdir it is the home");
  }
  const std::string user = args.value("user");
  const auto colon = user.find(':');
  spec.user = user.substr(0, colon);
  if (colon != std::string::npos) spec.group = user.substr(colon + 1);
  if (args.has("user") && spec.user.empty()) {
    return fail(Code::kUsage, "--user: \"" + printable(user) + "\" names no user",
                "write USER or USER:GROUP");
  }
  return {};
}

Result<void> read_disconnect(const Args& args, Manner manner, job::JobSpec& spec) {
  constexpr std::string_view kAfter = "stop-after=";
  const std::string how = disconnect_rule(args, manner);
  if (how == "keep") {
    spec.on_disconnect = job::OnDisconnect::kKeep;
  } else if (how == "stop") {
    spec.on_disconnect = job::OnDisconnect::kStop;
  } else if (how.starts_with(kAfter)) {
    const Result<Millis> after = parse_duration("--on-disconnect", how.substr(kAfter.size()));
    if (!after) return std::unexpected(after.error());
    spec.on_disconnect = job::OnDisconnect::kStopAfter;
    spec.on_disconnect_ms = static_cast<std::uint64_t>(after->count());
  } else {
    return fail(
        Code::kUsage,
        "--on-disconnect: \"" + printable(how) + "\" is not one of keep, stop, stop-after=D",
        "see: rexec run --help");
  }
  if (manner != Manner::kDetached || spec.on_disconnect == job::OnDisconnect::kKeep) return {};
  return fail(Code::kUsage,
              "--on-disconnect " + printable(how) +
                  ": a detached job has no client that could be silent, it would do nothing",
              "leave it out; to end the job after a time: --timeout D");
}

Result<void> read_resources(const Args& args, job::JobSpec& spec) {
  if (args.has("cpu")) {
    const Result<std::uint64_t> cpu = parse_amount("--cpu", args.value("cpu"), kProcessors);
    if (!cpu) return std::unexpected(cpu.error());
    spec.cpu_milli = *cpu;
  }
  if (args.has("mem")) {
    const Result<std::uint64_t> memory = parse_amount("--mem", args.value("mem"), kSizes);
    if (!memory) return std::unexpected(memory.error());
    spec.memory_bytes = *memory;
  }
  const Result<std::uint64_t> pids = args.number("pids", 0, 4'194'304);
  if (!pids) return std::unexpected(pids.error());
  spec.pids = *pids;
  if (args.has("pids") && spec.pids == 0)
    return fail(Code::kUsage, "--pids: 0 processes run nothing");
  return {};
}

// no, on-failure, on-failure:N, always
Result<void> read_restart(const Args& args, job::JobSpec& spec) {
  constexpr std::string_view kOnFailure = "on-failure";
  const std::string how = args.value("restart", "no");
  const auto colon = how.find(':');
  const std::string word = how.substr(0, colon);
  spec.restart.when = word == "always"     ? job::Restart::kAlways
                      : word == kOnFailure ? job::Restart::kOnFailure
                                           : job::Restart::kNo;
  bool good = word == "no" || spec.restart.when != job::Restart::kNo;
  if (colon != std::string::npos) {
    const char* end = how.data() + how.size();
    const auto [stop, error] = std::from_chars(how.data() + colon + 1, end, spec.restart.most);
    good = word == kOnFailure && error == std::errc() && stop == end && spec.restart.most > 0;
  }
  if (good) return {};
  return fail(
      Code::kUsage,
      "--restart: \"" + printable(how) + "\" is not one of no, on-failure, on-failure:N, always",
      "see: rexec run --help");
}

Result<void> read_output_rules(const Args& args, job::JobSpec& spec) {
  const Result<Millis> idle = args.duration("idle-timeout", Millis{0});
  if (!idle) return std::unexpected(idle.error());
  spec.idle_timeout_ms = static_cast<std::uint64_t>(idle->count());
  const Result<std::string> overflow = args.choice("overflow", "spill|block|drop", "spill");
  if (!overflow) return std::unexpected(overflow.error());
  spec.overflow = *overflow == "block"  ? job::Overflow::kBlock
                  : *overflow == "drop" ? job::Overflow::kDrop
                                        : job::Overflow::kSpill;
  if (!args.has("output-quota")) return {};
  const Result<std::uint64_t> quota =
      parse_amount("--output-quota", args.value("output-quota"), kSizes);
  if (!quota) return std::unexpected(quota.error());
  if (*quota < (1u << 20) || *quota > (1ull << 40))
    return fail(Code::kUsage, "--output-quota: between 1M and 1T can be kept",
                "write a size: --output-quota 256M");
  spec.output_quota = *quota;
  return {};
}

Result<void> read_limits(const Args& args, Manner manner, job::JobSpec& spec) {
  const Result<Millis> timeout = args.duration("timeout", Millis{0});
  if (!timeout) return std::unexpected(timeout.error());
  spec.timeout_ms = static_cast<std::uint64_t>(timeout->count());
  const Result<Millis> grace = args.duration("grace", Millis{job::kDefaultGraceMs});
  if (!grace) return std::unexpected(grace.error());
  spec.grace_ms = static_cast<std::uint64_t>(grace->count());
  const Result<std::string> children = args.choice("children", "kill|wait|leave", "kill");
  if (!children) return std::unexpected(children.error());
  spec.children = *children == "wait"    ? job::Children::kWait
                  : *children == "leave" ? job::Children::kLeave
                                         : job::Children::kKill;
  const Result<std::string> privileges = args.choice("privileges", "drop|keep", "drop");
  if (!privileges) return std::unexpected(privileges.error());
  if (*privileges == "keep") spec.privileges = job::Privileges::kKeep;
  const Result<void> resources = read_resources(args, spec);
  if (!resources) return resources;
  if (const Result<void> read = read_restart(args, spec); !read) return read;
  if (const Result<void> read = read_output_rules(args, spec); !read) return read;
  return read_disconnect(args, manner, spec);
}

}  // namespace

std::string disconnect_rule(const Args& args, Manner manner) {
  return args.value("on-disconnect", manner == Manner::kDetached ? "keep" : "stop-after=10m");
}

Result<Environment> parse_env_file(std::string_view text, const std::string& name) {
  Environment parsed;
  std::size_t number = 0;
  if (text.starts_with("\xef\xbb\xbf"))
    text.remove_prefix(3);  // as editors of Windows begin a file
  for (std::string line : split(text, '\n')) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty() || line[0] == '#') continue;
    const Result<void> good = check_variable(line);
    if (!good) {
      return fail(
          Code::kUsage,
          "--env-file: " + name + ":" + std::to_string(number) + ": " + good.error().message,
          good.error().hint);
    }
    add_variable(line, parsed);
  }
  return parsed;
}

Result<job::JobSpec> read_spec(const Args& args, Manner manner) {
  job::JobSpec spec;
  // The command last: a flag that has taken the target, and cannot be that, says so first.
  Result<void> step = read_environment(args, spec);
  if (step) step = read_place(args, spec);
  if (step) step = read_limits(args, manner, spec);
  if (step) step = read_command(args, manner, spec);
  if (!step) return std::unexpected(step.error());
  const bool has_terminal = manner == Manner::kShell || args.has("tty");
  if (has_terminal) {
    spec.tty = terminal_size().value_or(job::TtySpec{});
    spec.tty->modes = terminal_modes();
  }
  spec.forward_stdin = has_terminal || args.has("stdin");
  spec.sha256 = args.has("sha256");
  spec.durable = manner == Manner::kDetached;
  return spec;
}

}  // namespace rexec::cli
