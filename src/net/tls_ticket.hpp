// What a client keeps to resume its session with the controller: OpenSSL's session, whom the full
// handshake verified, and by which certificates of ours (a session is resumed as whom it was made).
// OpenSSL would keep the peer's whole certificate, whose parse and check cost a cold command more
// than the resumed handshake does; the pre-shared key of the session is the proof, and who could
// change this file could change the CA beside it. It does not decide whether the peer is still
// valid: TlsTransport does, by the dates.
#pragma once

#include <openssl/ssl.h>

#include <optional>
#include <string>

#include "src/pki/digest.hpp"
#include "src/pki/identity.hpp"

namespace rexec::net {

struct TlsTicket {
  pki::Digest made_with{};  // certificates_id() of the credentials
  pki::Identity peer;       // as it was verified
  std::string session;      // DER, without the peer's certificate
};

// Of a CA's and an own certificate, as they are kept.
pki::Digest certificates_id(std::string_view ca, std::string_view own);

std::string encode_ticket(const TlsTicket& ticket);
// Nothing for bytes that are not one: a full handshake follows.
std::optional<TlsTicket> decode_ticket(std::string_view bytes);

// OpenSSL's DER of a session with the peer's certificate cut out; empty for one that cannot be
// resumed.
std::string encode_session(SSL_SESSION* session);
// The same for bytes; as they are when they are not a session's.
std::string without_peer(std::string_view der);

}  // namespace rexec::net
