// The names of the codes and the page behind each, one row per code in declaration order.
// What a code's message and hint say at a given place is written at that place, not here.
#include "src/base/error.hpp"

#include <cstring>
#include <iterator>

#include "src/base/text.hpp"

namespace rexec {
namespace {

struct Row {
  Code code;
  std::string_view name;
  std::string_view explanation;  // begins with a newline, for the sake of the layout below
};

constexpr Row kRows[] = {
    {Code::kUsage, "usage", R"(
The command line, or a file that you wrote, is not something rexec understands.

Nothing was started and nothing was changed.
The message names the word and the hint shows a form that works.
  rexec help VERB      the flags and examples of one sub-command)"},
    {Code::kConfig, "config", R"(
A configuration file cannot be read: its TOML is wrong, or it has a key that rexec does not know.

Unknown keys are refused rather than ignored, because a mistyped key that is silently ignored is a
setting you believe in and do not have. The message gives FILE:LINE:COLUMN.
Next: correct that line, or try another file with --config FILE.)"},
    {Code::kUnknownNode, "unknown_node", R"(
The target matches no node: a name, group or label that the controller does not know, or an
expression that selects nothing. Zero nodes is an error, never success, so that a script notices.

Nothing was started, not even on the nodes of the list that do exist.
  rexec node ls        the nodes, their groups and labels)"},
    {Code::kUnknownJob, "unknown_job", R"(
There is no job of that id, or it belongs to somebody whose jobs your role does not show you; the
two are not told apart on purpose. Old jobs leave the list after the retention time.
  rexec ps             the jobs you may see, newest first)"},
    {Code::kUnknownObject, "unknown_object", R"(
There is no token, user, role, group, context or other object of that name.
Next: list them with the same noun, for example `rexec token ls` or `rexec context ls`.)"},
    {Code::kAmbiguousJob, "ambiguous_job", R"(
The beginning of a job id that you typed fits several jobs. rexec does not choose for you.
Next: type more characters; the hint lists the jobs that fit.)"},
    {Code::kNodeOffline, "node_offline", R"(
The node is known, but its agent is not connected to the controller: the machine is down, its
network is, or the agent is stopped. Nothing was started there.

  rexec node show NODE     when it was last seen
  rexec node wait NODE     returns when it is back
  on the node: rexec agent status, rexec doctor)"},
    {Code::kControllerDown, "controller_down", R"(
Nobody answers at any of the controller's addresses: it is not running, the address is wrong, or a
firewall or network lies between. Running jobs are not affected; nodes keep them and their output.

  rexec context ls     the addresses in use
  rexec doctor         tries each step (name, TCP, TLS, sign-in) and says which one fails)"},
    {Code::kNotSignedIn, "not_signed_in", R"(
There is no context to use, or the context has no certificate. A context is one controller with
your key and certificate for it.

Next: ask an administrator for a token (`rexec token new --user YOU`) and type `rexec login rx1_…`.
With several contexts choose one: --context NAME or `rexec context use NAME`.)"},
    {Code::kDenied, "denied", R"(
You are signed in, and your role does not allow this: to change nodes, tokens and users one has to
be an administrator. Or the token or certificate that was shown is for another name or another use.

Nothing was started on any node of the target, including those you may use.
  rexec whoami         who you are and your role)"},
    {Code::kRevoked, "revoked", R"(
The certificate was revoked: an administrator removed this user or node. The refusal is immediate,
also for connections that were open.
Next: if that was a mistake, ask for a new token; the old key is not accepted again.)"},
    {Code::kExpired, "expired", R"(
The certificate's life and its renewal grace are over. Certificates renew by themselves while they
are in use; this one was not used for long, or this machine's clock is wrong.

  date -u              compare with a machine whose clock you trust
Next: a new token and `rexec login` (a person) or `rexec join` (a node).)"},
    {Code::kTokenBad, "token_bad", R"(
The token is not complete or was altered: its checksum does not fit. Nothing was sent to anybody.
A token is one word, rx1_ and letters and digits; a line break in the middle is the usual cause.
Next: copy it again, or ask for a new one.)"},
    {Code::kTokenSpent, "token_spent", R"(
The token was used with another key, has expired or was revoked. A token admits one key, once;
trying again from the same machine with the same key is always safe.

Next: ask for a new one (`rexec token new`). If you did not use it yourself, somebody else did: tell
the administrator, who finds who used it in `rexec token ls -o wide`.)"},
    {Code::kPinMismatch, "pin_mismatch", R"(
The certificate authority that answered is not the one that the token or context names. Either the
address now belongs to another controller, or somebody is in between. Nothing secret was sent.

Do not work around this. Ask the administrator whether the controller was installed anew; if so,
remove the context (`rexec context rm NAME`) and sign in with a new token.)"},
    {Code::kKeyExposed, "key_exposed", R"(
A private key can be read by other users of this machine, or belongs to another user. rexec
refuses to use it, as ssh does, because a key that others may have copied proves nothing.

Next: chmod 600 FILE. If others may have read it, revoke it and join or sign in again.)"},
    {Code::kConflict, "conflict", R"(
The same idempotency key or request id was sent before with a different body, or the name is taken.
The first request stands and nothing was changed by the second.
Next: use another key or name, or look at what exists.)"},
    {Code::kProtocol, "protocol", R"(
A peer sent something that the wire protocol does not allow, and the connection was closed. With
two released versions of rexec this is a bug; otherwise something else answers on that port.
Jobs go on; the client and the agent connect again by themselves.
Next: `rexec version` on both sides, and report it with the log of both.)"},
    {Code::kVersion, "version", R"(
The two sides have no protocol version in common: one is much older. Nothing was started.
Next: `rexec version` on both sides, and update the older one.)"},
    {Code::kLimit, "limit", R"(
A limit was reached: the size of a frame, a job, a file or a selection, or the number of streams,
jobs or connections that one user may have. Limits keep one peer from exhausting another.
Next: the message names the limit and its value; make the request smaller, or split it.)"},
    {Code::kNotFoundExec, "not_found_exec", R"(
The node has no such program: execve said "no such file". The exit code is 127, as in a shell.
rexec uses no shell: words such as `cd`, `|`, `*` and `~` mean nothing to execve.

  rexec run NODE --sh 'text'       runs text through a shell
The job's PATH is the clean default, not yours: use a full path, or -e PATH=…
A script whose #! line names a missing interpreter looks the same.)"},
    {Code::kNotExecutable, "not_executable", R"(
The program exists on the node and cannot be executed: no x permission, a directory, a file system
mounted noexec, or a binary for another processor. The exit code is 126, as in a shell.
Next: `rexec run NODE -- ls -l FILE` and `rexec run NODE -- file FILE`.)"},
    {Code::kRefusedByNode, "refused_by_node", R"(
The node itself refused: it does not allow jobs as that user, or it cannot do what the job asks, for
example run as another user when the agent is not root. The controller cannot override a node.
Nothing was started there.
Next: `rexec node show NODE` names the user of its jobs (run_as); on the node, agent.toml in the
agent's directory says whom it allows (allow_users).)"},
    {Code::kLinkLost, "link_lost", R"(
The link to the controller or node was away for longer than --reconnect. This says nothing about
the job: it goes on, or is stopped, as its --on-disconnect says, and its output is kept on the node.

  rexec attach JOB     continues at the byte where you were cut off
  rexec wait JOB       waits for the end and gives its code)"},
    {Code::kOutcomeUnknown, "outcome_unknown", R"(
The node cannot say how the job ended: it rebooted, or the process that watched the job was killed
with it. The job was started once and is not started again; whether it finished is not known.
Next: look at its output (`rexec logs JOB`) and decide whether to run it anew.)"},
    {Code::kIncomplete, "incomplete", R"(
The command ended, but part of its output is missing here or its digest differs: a disk was full or
failed, on the node or here. What is missing is counted in the job's status.
Or the node gave the output up, whole: rexec run had received it and keep_read_output was over, or
the output of ended jobs came to more than keep_bytes. Or that node was removed. The message says
which. The command's own exit code is in `rexec job show JOB`.

Next: `rexec logs JOB` while the node still keeps the rest. What was given up is nowhere: run the
command again. To have output kept: rexec submit, or the two settings in the node's agent.toml,
see rexec-agent(1).)"},
    {Code::kTimeout, "timeout", R"(
A deadline passed: --timeout or --connect-timeout. The message says which.
A command that reached its --timeout makes run exit 124, with the outcome timeout in the status
JSON; before anything was started it is 125.
A running command got TERM, the --grace time, and then KILL, with all its children.
The wall limit is enforced on the node, so it holds also without a connection.)"},
    {Code::kIo, "io", R"(
The operating system refused: a file or directory is missing or not permitted, a disk is full or
broken, or a connection failed. The message names the path or address and the system's own words.
  rexec doctor         checks space, permissions and the network)"},
    {Code::kStore, "store", R"(
The controller's state database is damaged, locked, or was written by a newer rexec. It was left as
it is. Nothing is repaired silently.

Next: the message says what is wrong. Damaged: put back a copy of the controller's directory, or a
backup: rexec controller restore FILE. A damaged backup is not used: take another one.
Written by a newer rexec: run that version again; there is no downgrade.)"},
    {Code::kBusy, "busy", R"(
Another rexec process holds this data directory. Two of them would destroy each other's state.
Next: `rexec controller status --data DIR` or `rexec agent status --data DIR` names the process.)"},
    {Code::kDependency, "dependency", R"(
The job was to start after another one (--after, or `after` in a DAG file), and that one has ended
otherwise than was asked for: it failed where :ok was meant, or succeeded where :fail was. Nothing
was started.
Next: `rexec job show JOB` of the other one, mend it, then `rexec rerun` or submit again.)"},
    {Code::kQueueTimeout, "queue_timeout", R"(
The job waited for a node, a lock or another job, and --queue-timeout was over before it could
start. Nothing was started.
Next: `rexec ps` shows what holds the lock or whom it waited for; submit again with more time.)"},
    {Code::kLeft, "left", R"(
The client ended before the job did: its user left (Ctrl-\, Enter ~ ., a third Ctrl-C), a signal
ended it (HUP of a closed window, TERM), or nobody read its output any more. The message says which.
The job goes on, or is stopped, as its --on-disconnect says.

  rexec attach JOB     continues at the byte that the client named when it left
  rexec wait JOB       waits for the end and gives its code)"},
    {Code::kInterrupted, "interrupted", R"(
A signal ended the client while it was still reaching the controller. No job was submitted, so
nothing was started.
Next: the same command again; where it hung, `rexec doctor` says which step fails.)"},
    {Code::kInternal, "internal", R"(
A bug in rexec, or a code from a newer version that this one does not know. Running jobs are in
processes of their own and go on.
Next: `rexec version`, and report it with the message and the log.)"},
};

constexpr std::size_t kCount = std::size(kRows);
static_assert(kCount == static_cast<std::size_t>(Code::kInternal) + 1, "one row per code");

struct CodeList {
  Code codes[kCount];
};

// Evaluated at compile time; a row out of place does not compile.
constexpr CodeList list_codes() {
  CodeList list{};
  for (std::size_t i = 0; i < kCount; ++i) {
    if (static_cast<std::size_t>(kRows[i].code) != i) throw "rows are not in declaration order";
    list.codes[i] = kRows[i].code;
  }
  return list;
}
constexpr CodeList kCodes = list_codes();

// Codes may come from a cast of a peer's number, so out of range is the last row.
const Row& row_of(Code code) {
  const auto index = static_cast<std::size_t>(code);
  return kRows[index < kCount ? index : kCount - 1];
}

}  // namespace

std::string_view code_name(Code code) { return row_of(code).name; }

Code code_from_name(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return row.code;
  }
  return Code::kInternal;
}

std::string_view code_explanation(Code code) { return row_of(code).explanation.substr(1); }

CodeRange all_codes() { return {kCodes.codes, kCodes.codes + kCount}; }

std::unexpected<Error> fail_errno(std::string_view what, int err) {
  char buffer[128];
  // The GNU form: the text may be a static one, not in the buffer.
  const char* reason = ::strerror_r(err, buffer, sizeof buffer);
  return fail(Code::kIo, printable(what) + ": " + reason);
}

}  // namespace rexec
