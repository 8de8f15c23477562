// See tls_failure.hpp.
#include "src/net/tls_failure.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cerrno>
#include <cstring>

namespace rexec::net {
namespace {

std::string during(const TlsMoment& moment) {
  return moment.is_greeting ? " during the handshake" : "";
}

TlsFailure closed(const TlsMoment& moment) {
  return {std::string(moment.peer) + " closed the connection" + during(moment), Failure::kCut};
}

TlsFailure refused(const TlsMoment& moment, std::string_view why) {
  return {std::string(moment.peer) + " refuses our certificate: " + std::string(why),
          Failure::kRefused};
}

}  // namespace

TlsFailure failure_of_errno(int error, const TlsMoment& moment) {
  if (error == 0 || error == ECONNRESET || error == EPIPE) return closed(moment);
  return {"the connection broke" + during(moment) + ": " + std::strerror(error), Failure::kCut};
}

TlsFailure failure_of_openssl(const TlsMoment& moment) {
  const unsigned long error = ERR_peek_error();
  ERR_clear_error();
  const std::string peer(moment.peer);
  const int reason = ERR_GET_REASON(error);
  switch (reason) {
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
      return closed(moment);
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
      return refused(moment, "it has expired");
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
      return refused(moment, "it was revoked");
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      return refused(moment, "it is not of this cluster");
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
      return refused(moment, "it is damaged or not a certificate for this");
    case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
      return {peer + " does not speak rexec/1", Failure::kOther};
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_HTTP_REQUEST:
      return {"what answers does not speak TLS: is it the right port?", Failure::kOther};
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
      return {peer + " does not speak TLS 1.3", Failure::kOther};
    case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
    case SSL_R_SSLV3_ALERT_BAD_RECORD_MAC:
      return {"bytes of the connection were changed on their way", Failure::kOther};
    default:
      break;
  }
  if (reason > SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256)
    return {peer + " ended the connection with TLS alert " +
                std::to_string(reason - SSL_AD_REASON_OFFSET) + during(moment),
            Failure::kOther};
  const char* text = ERR_reason_error_string(error);
  return {"TLS failed" + during(moment) + (text == nullptr ? "" : std::string(": ") + text),
          Failure::kOther};
}

}  // namespace rexec::net
