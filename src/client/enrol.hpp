// Spending a join token, for `join` (a node) and `login` (a person): dials with the pinned CA,
// proves the secret without sending it, brings home a certificate. Writes nothing but the pending
// key, so that a second try uses the same key.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "src/net/tls.hpp"
#include "src/pki/token.hpp"

namespace rexec::client {

struct EnrolOptions {
  std::string token;  // rx1_…
  std::string name;   // wished; empty: the token's
  std::string host;   // the name when neither of them says one
  // The node's certificate that is here already (DER), or empty: while it is good at the controller
  // nothing is spent and kAlready comes back.
  std::string certificate;
  std::map<std::string, std::string> labels;
  std::string run_as;
  std::string key_file;  // made when missing; the same key makes a retry idempotent
  Millis timeout{10'000};
};
struct Enrolment {
  enum class Outcome { kEnrolled, kAlready } outcome = Outcome::kEnrolled;
  pki::TokenKind kind = pki::TokenKind::kUser;
  std::string id;
  std::string name;
  std::string cluster;
  std::vector<std::string> addresses;
  net::Credentials credentials;  // empty for kAlready
};
// Runs its own io_context. Errors: kTokenBad before dialling, kPinMismatch, kTokenSpent, kConflict,
// kControllerDown.
Result<Enrolment> enrol(const EnrolOptions& options);

}  // namespace rexec::client
