// Why a TLS connection failed, in words for a person: OpenSSL's queue and errno go in, its own
// texts do not come out. It decides nothing about trying again. Only the TLS transport and the
// dialler use it.
#pragma once

#include <string>

#include "src/net/transport.hpp"

namespace rexec::net {

struct TlsFailure {
  std::string why;
  Failure kind = Failure::kOther;
};

// Who speaks, and when: "the controller closed the connection during the handshake".
struct TlsMoment {
  std::string_view peer;  // "the controller", "the other side"
  bool is_greeting = false;
};

// SSL_ERROR_SYSCALL, or a socket's own error; 0 is an end without a word.
TlsFailure failure_of_errno(int error, const TlsMoment& moment);
// SSL_ERROR_SSL: takes the thread's error queue.
TlsFailure failure_of_openssl(const TlsMoment& moment);

}  // namespace rexec::net
