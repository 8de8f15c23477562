// The flags of run, submit and shell, and what they come to: the spec of the job and the plan of
// the run. It reads files and the environment that the flags name, and dials nothing.
#pragma once

#include "cli/run/follow.hpp"
#include "src/base/config.hpp"
#include "src/job/spec/spec.hpp"

namespace rexec::cli {

constexpr Flag later_flag(std::string_view name, std::string_view value, char letter = 0) {
  return {.letter = letter, .name = name, .value = value, .standing = Standing::kLater};
}

// submit begins at the fourth row, shell takes the rows from --env to --reconnect.
inline constexpr Flag kRunFlags[] = {
    {'i', "stdin", {}, "forward stdin"},
    {'t', "tty", {}, "allocate a terminal; implies -i; Enter ~ . leaves"},
    {'d', "detach", {}, "print the job id and return; the job goes on"},
    {.letter = 'e',
     .name = "env",
     .value = "K[=V]",
     .help = "set K, or pass it on from here",
     .often = Often::kRepeated},
    {.name = "env-file",
     .value = "FILE",
     .help = "K=V lines",
     .choices = "@file",
     .often = Often::kRepeated},
    {'w', "workdir", "DIR", "the job's directory (default: its home)"},
    {.name = "here", .help = "the same directory as here"},
    {'u', "user", "USER[:GROUP]", "as this user of the node"},
    {.name = "timeout", .value = "D", .help = "end the job after D, exit 124"},
    {.name = "grace", .value = "D", .help = "from TERM to KILL (default 5s)"},
    {.name = "on-disconnect",
     .value = "HOW",
     .help = "keep, stop, or stop-after=D (default 10m; detached: keep)",
     .choices = "keep|stop|stop-after="},
    {.name = "children",
     .value = "HOW",
     .help = "processes that outlive the command: kill, wait or leave",
     .choices = "kill|wait|leave"},
    {.name = "privileges",
     .value = "HOW",
     .help = "of setuid programs: drop (default), or keep where the node allows it",
     .choices = "drop|keep"},
    {.name = "reconnect", .value = "D", .help = "how long a lost link is waited for (default 5m)"},
    {.name = "connect-timeout", .value = "D", .help = "for the first connection (default 10s)"},
    {.name = "sh", .value = "TEXT", .help = "run TEXT through sh; CMD… are its arguments"},
    {.name = "script",
     .value = "FILE",
     .help = "send FILE and run it; CMD… are its arguments",
     .choices = "@file"},
    {.name = "status-file",
     .value = "FILE",
     .help = "write the status JSON there at the end",
     .choices = "@file"},
    {.name = "status-fd", .value = "N", .help = "write the status JSON to that descriptor"},
    {.name = "cpu", .value = "N", .help = "at most N processors' time, 0.5 is a half"},
    {.name = "mem", .value = "SIZE", .help = "at most this memory: 512M, 1.5G"},
    {.name = "pids", .value = "N", .help = "at most N processes"},
    {.name = "idle-timeout", .value = "D", .help = "end the job after D without output or stdin"},
    {.name = "restart",
     .value = "HOW",
     .help = "start it again: no, on-failure[:N], always",
     .choices = "no|on-failure|always"},
    {.name = "output-quota", .value = "SIZE", .help = "output kept on the node (default 64M)"},
    {.name = "overflow",
     .value = "HOW",
     .help = "a slow reader: spill, block or drop (default spill)",
     .choices = "spill|block|drop"},
    {.name = "sha256", .help = "SHA-256 of the output in the status too"},
    {.name = "idempotency-key", .value = "K", .help = "the same K is the same job, never two"},
    {.name = "wait-online",
     .value = "D",
     .help = "wait for a node that is offline (default 5m)",
     .takes = Takes::kOptionalValue},
    {.name = "queue-timeout", .value = "D", .help = "give up when it has not started after D"},
    {.name = "lock",
     .value = "NAME[:N]",
     .help = "at most N (1) such jobs at once on a node",
     .often = Often::kRepeated},
    {.name = "fleet-lock",
     .value = "NAME[:N]",
     .help = "at most N (1) at once on all nodes",
     .often = Often::kRepeated},
    {.name = "after",
     .value = "JOB[:WHEN]",
     .help = "start when JOB has ended: ok (default), any or fail",
     .choices = "@job",
     .often = Often::kRepeated},
    {.name = "no-prefix", .help = "several nodes: lines without the node's name"},
    {.name = "timestamps", .help = "before each line when the job wrote it"},
    {.name = "exit",
     .value = "RULE",
     .help = "several nodes: max, first or any (default: 123)",
     .choices = "max|first|any"},

    later_flag("parallel", "N", 'p'),
    later_flag("batch", "STEPS"),
    later_flag("max-fail", "N"),
    later_flag("on-budget", "HOW"),
    later_flag("retry-failed", "RUN"),
    later_flag("fold", "", 'b'),
    later_flag("diff", ""),
    later_flag("save", "DIR"),
    later_flag("dry-run", "")};

// submit alone.
inline constexpr Flag kDagFlag{.name = "dag",
                               .value = "FILE",
                               .help = "the jobs of FILE (-: stdin), each after others",
                               .choices = "@file"};

inline constexpr std::size_t kFirstForSubmit = 3;
inline constexpr std::size_t kFirstForShell = 3;
inline constexpr std::size_t kAfterShell = 15;
static_assert(kRunFlags[kFirstForSubmit].name == "env");
static_assert(kRunFlags[kAfterShell].name == "sh");
inline constexpr std::span<const Flag> kSubmitFlags =
    std::span<const Flag>(kRunFlags).subspan(kFirstForSubmit);
// What only somebody who watches the job has a use for: no flags of submit, refused with -d.
inline constexpr std::string_view kAboutWatching[] = {"no-prefix", "timestamps", "exit"};
constexpr bool is_about_watching(std::string_view name) {
  for (const std::string_view one : kAboutWatching)
    if (one == name) return true;
  return false;
}
// What one job of a DAG may say, and how its file is read: "FILE:LINE: …" for what is wrong in it.
Result<std::vector<client::DagJob>> read_dag(const std::string& file);
// Of what such a file holds; `path` is for the errors. Each job stands after those it names.
Result<std::vector<client::DagJob>> plan_dag(const ConfigMap& map, const std::string& path);
inline constexpr std::span<const Flag> kShellFlags =
    std::span<const Flag>(kRunFlags).subspan(kFirstForShell, kAfterShell - kFirstForShell);

enum class Manner { kForeground, kDetached, kShell };

// What to run, from the flags and the words after TARGET. kUsage, or kIo for a file that is named.
Result<job::JobSpec> read_spec(const Args& args, Manner manner);
// How --on-disconnect is written, the default of this manner included.
std::string disconnect_rule(const Args& args, Manner manner);
// --status-file and --status-fd, once it is known that they can be written; else nothing of them.
Result<void> read_status(const Args& args, StatusTarget& into);
// 32 hex characters that are the same for the same --idempotency-key.
std::string request_of_key(const std::string& key);
// --queue-timeout, --wait-online, --lock, --after.
Result<client::Waits> read_waits(const Args& args);
// Fills `into` as far as it gets: the status target first, so that a failure can be told there.
Result<void> read_run(const Invocation& invocation, Manner manner, FollowOptions& into);

// --env-file: K=V lines, "#" comments; K alone is taken from the environment where it is set.
// kUsage with file:line.
Result<std::vector<std::pair<std::string, std::string>>> parse_env_file(std::string_view text,
                                                                        const std::string& name);

}  // namespace rexec::cli
