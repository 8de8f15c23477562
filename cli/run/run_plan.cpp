// From flags to the plan of a run: target, spec, request, stdin, status, rules of output and exit.
#include <unistd.h>

#include <algorithm>

#include "cli/run/run_flags.hpp"
#include "src/base/text.hpp"
#include "src/pki/digest.hpp"

namespace rexec::cli {
std::string request_of_key(const std::string& key) {
  const pki::Digest digest = pki::sha256({as_bytes("rexec idempotency-key 1"), as_bytes(key)});
  return to_hex(ByteSpan(digest).first(16));
}

Result<void> read_status(const Args& args, StatusTarget& into) {
  into.file = args.value("status-file");
  if (args.has("status-fd")) {
    const Result<std::uint64_t> fd = args.number("status-fd", 0, 1'000'000);
    if (!fd) return std::unexpected(fd.error());
    into.fd = static_cast<int>(*fd);
  }
  const Result<void> good = check_status_target(into);
  if (!good) into = {};
  return good;
}

namespace {

// A script that is there is "not found" when its interpreter is not.
std::string interpreter_hint(const std::string& script) {
  const std::string line = script.substr(0, script.find('\n'));
  if (!line.starts_with("#!")) return {};
  const std::size_t name = std::min(line.find_first_not_of(" \t", 2), line.size());
  const std::string path = line.substr(name);
  std::string hint = "is the script's interpreter on the node? it begins with: #!" + path;
  if (!line.ends_with('\r')) return hint;
  return "the script's lines end in CR LF, and so does the name of its interpreter: write them "
         "with LF";
}

Result<void> read_rules(const Args& args, FollowOptions& into) {
  into.prefix = args.has("no-prefix") ? Prefix::kNever : Prefix::kAuto;
  into.stamps = args.has("timestamps") ? Stamps::kTime : Stamps::kNone;
  const Result<std::string> rule = args.choice("exit", "max|first|any", "");
  if (!rule) return std::unexpected(rule.error());
  into.rule = *rule == "max"     ? ExitRule::kMax
              : *rule == "first" ? ExitRule::kFirst
              : *rule == "any"   ? ExitRule::kAny
                                 : ExitRule::kSeveral;
  const Result<Millis> reconnect = args.duration("reconnect", into.plan.reconnect);
  if (!reconnect) return std::unexpected(reconnect.error());
  into.plan.reconnect = *reconnect;
  const Result<Millis> connect = args.duration("connect-timeout", into.connect_timeout);
  if (!connect) return std::unexpected(connect.error());
  into.connect_timeout = *connect;
  return {};
}

// A flag that would do nothing is refused, so that nobody waits for what it promises.
Result<void> check_manner(const Args& args, Manner manner, const Globals& globals) {
  const bool is_list = globals.format == Format::kWide || globals.format == Format::kName;
  if (manner == Manner::kForeground && args.has("output") && is_list)
    return fail(Code::kUsage,
                "--output " + args.value("output") + ": rexec run prints the job's own output",
                "events as JSON lines: -o jsonl; a list of jobs: rexec run -d, rexec ps");
  const bool is_json = globals.format == Format::kJson || globals.format == Format::kJsonl;
  const bool is_asked = args.has("json") || args.has("output");
  if (manner == Manner::kForeground && args.has("no-prefix") && is_json && is_asked)
    return fail(Code::kUsage, "--no-prefix: JSON lines have no prefix, it would do nothing",
                "each line names its node");
  if (manner != Manner::kDetached) return {};
  if (args.has("stdin") || args.has("tty"))
    return fail(Code::kUsage, "a detached job has no stdin and no terminal: drop -i, -t or -d");
  for (const std::string_view name : kAboutWatching)
    if (args.has(name))
      return fail(Code::kUsage,
                  "--" + std::string(name) + ": nobody watches a detached job, it would do nothing",
                  "its output: rexec logs --timestamps JOB; its exit code: rexec wait JOB");
  return {};
}

}  // namespace

Result<void> read_run(const Invocation& invocation, Manner manner, FollowOptions& into) {
  const Args& args = invocation.args;
  into.globals = invocation.globals;
  into.plan.targets = args.word(0);
  Result<void> step = read_status(args, into.status);
  if (step) step = read_rules(args, into);
  if (!step) return step;
  if (step = check_manner(args, manner, into.globals); !step) return step;
  const bool has_terminal = args.has("tty") || manner == Manner::kShell;
  if (has_terminal && into.plan.targets.find_first_of(",@[&=!") != std::string::npos) {
    return fail(
        Code::kUsage,
        "a terminal is for one node: -t cannot go to \"" + printable(into.plan.targets) + "\"",
        "name one node, or leave -t out");
  }
  Result<client::Waits> waits = read_waits(args);
  if (!waits) return std::unexpected(waits.error());
  into.plan.waits = std::move(*waits);
  const Result<job::JobSpec> spec = read_spec(args, manner);
  if (!spec) return std::unexpected(spec.error());
  Result<std::string> encoded = job::encode_spec(*spec);
  if (!encoded) return std::unexpected(encoded.error());
  into.plan.spec = std::move(*encoded);
  into.workdir = spec->workdir;
  into.not_found = interpreter_hint(spec->script.value_or(""));
  into.on_disconnect = disconnect_rule(args, manner);
  into.plan.mode = manner == Manner::kDetached ? "detached" : "attached";
  if (args.has("idempotency-key") && args.value("idempotency-key").empty())
    return fail(Code::kUsage, "--idempotency-key: an empty key names nothing",
                "write one that is the same for the same job, such as its name and date");
  if (args.has("idempotency-key")) {
    into.plan.request = request_of_key(args.value("idempotency-key"));
    into.plan.key = client::RequestKey::kChosen;
  }
  if (::isatty(STDOUT_FILENO) == 1) into.plan.pace = client::Pace::kReader;
  if (spec->forward_stdin) into.plan.stdin_fd = STDIN_FILENO;
  if (spec->tty && ::isatty(STDIN_FILENO) != 1) into.plan.stdin_end = client::StdinEnd::kKeys;
  into.job_terminal = spec->tty.has_value();
  const bool is_terminal = spec->tty.has_value() && ::isatty(STDIN_FILENO) == 1;
  into.terminal = is_terminal ? Terminal::kRaw : Terminal::kCooked;
  return {};
}

}  // namespace rexec::cli
