// What went wrong, as data: a stable code that callers switch on and people can look up with
// `rexec explain`, a message (what, where, why) and a hint (the next command). It does not print
// and does not exit; cli/ does.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace rexec {

// The stable codes. Their names (snake case, see code_name) are part of the contract with scripts:
// never rename one.
enum class Code {
  kUsage,            // the command line or a file a user wrote is wrong
  kConfig,           // a configuration file is unreadable or has an unknown key
  kUnknownNode,      // no node of that name
  kUnknownJob,       // no job of that id, or not one this user may see
  kUnknownObject,    // no token, user, context … of that name
  kAmbiguousJob,     // a job id prefix that fits several
  kNodeOffline,      // the node is known and not connected
  kControllerDown,   // nobody answers at the controller's addresses
  kNotSignedIn,      // no context, or no certificate in it
  kDenied,           // the role does not allow it
  kRevoked,          // the certificate was revoked
  kExpired,          // the certificate is past its renewal grace
  kTokenBad,         // the token is malformed (checksum)
  kTokenSpent,       // used by another key, expired or revoked
  kPinMismatch,      // the controller's CA is not the one that the token or context names
  kKeyExposed,       // a private key is readable by others
  kConflict,         // the same request id with another body, or a name that is taken
  kProtocol,         // a peer broke the wire protocol
  kVersion,          // no protocol version in common
  kLimit,            // a limit was reached (frame, streams, spec size)
  kNotFoundExec,     // execve: no such file
  kNotExecutable,    // execve: found, but it cannot be executed
  kRefusedByNode,    // the node's veto file or its abilities
  kLinkLost,         // the link was away for longer than --reconnect
  kOutcomeUnknown,   // the node cannot say how the job ended
  kIncomplete,       // output is missing or its digest differs
  kTimeout,          // a deadline passed
  kIo,               // the operating system refused
  kStore,            // the state database is damaged, newer or locked
  kBusy,             // another process holds the data directory
  kDependency,       // a job that it is after ended otherwise than --after asks for
  kQueueTimeout,     // it did not start within --queue-timeout
  kLeft,             // the client ended before the job, by its user, a signal or its reader
  kInterrupted,      // the client was ended before it reached a controller: nothing was started
  kInternal,         // a bug
};

// "unknown_node" for Code::kUnknownNode.
std::string_view code_name(Code code);
// The code of that name, or kInternal when there is none (a newer peer's code).
Code code_from_name(std::string_view name);
// The page `rexec explain CODE` prints: cause, what rexec did, what to do next. Empty never.
std::string_view code_explanation(Code code);
// All codes in declaration order, for `explain` without an argument and for completion.
struct CodeRange {
  const Code* first;
  const Code* last;
  const Code* begin() const { return first; }
  const Code* end() const { return last; }
};
CodeRange all_codes();

struct Error {
  Code code = Code::kInternal;
  std::string message;  // what, where, why: one line, no final stop
  std::string hint;     // next command or did-you-mean; may be several lines, may be empty
};

template <class T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(Code code, std::string message, std::string hint = {}) {
  return std::unexpected(Error{code, std::move(message), std::move(hint)});
}
// kIo with "<what>: <strerror(err)>".
std::unexpected<Error> fail_errno(std::string_view what, int err);

}  // namespace rexec
