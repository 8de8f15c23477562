// Join tokens `rx1_…`: where the controller is, how to recognise its CA, and a secret that never
// travels. Enrolling is one request: `enrol {token_id, csr, name, labels, proof}`, proof =
// HMAC-SHA256(secret, "rexec enrol 1" · TLS exporter
// ("EXPORTER-rexec-enrol", 32 bytes) · SHA-256(csr DER)). Who may use which token how often is
// src/store/tables/enrolment.hpp.
//
// Layout before base32: version u8 = 1 · kind u8 · addresses u8, each u8 length + text · CA pin 32
// · token id 12 · secret 16 · CRC-32 of all that, which catches every change of one character (a
// burst of 5 bits) with certainty.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/error.hpp"
#include "src/pki/digest.hpp"

namespace rexec::pki {

// 128 bits, wiped when dropped. Nothing prints it: only encode_token and the store's own column
// hold it.
class TokenSecret {
 public:
  static TokenSecret random();
  // kTokenBad unless exactly 16 bytes.
  static Result<TokenSecret> from_bytes(ByteSpan bytes);
  TokenSecret(const TokenSecret&) = default;
  TokenSecret& operator=(const TokenSecret&) = default;
  ~TokenSecret();
  ByteSpan bytes() const { return bytes_; }

 private:
  TokenSecret() = default;
  std::array<std::uint8_t, 16> bytes_{};
};

enum class TokenKind { kNode, kUser };

struct JoinToken {
  TokenKind kind = TokenKind::kNode;
  std::vector<std::string> addresses;  // host:port or [v6]:port, 1 to 8, at most 255 bytes each
  Digest ca_pin{};                     // spki_hash of the CA
  std::string id;                      // t-…
  TokenSecret secret = TokenSecret::random();
};

inline constexpr std::size_t kMaxToken = 4096;

// kUsage when an address or the id is not one.
Result<std::string> encode_token(const JoinToken& token);
// kTokenBad for anything but the canonical text (surrounding white space aside); the message never
// quotes the token. Strict on purpose: a token is pasted, not typed, so an `o` for a `0` is a
// damaged token (FAULTS A7).
Result<JoinToken> parse_token(std::string_view text);
// "node token t-… for 10.0.0.1:7443": for logs and messages.
std::string describe_token(const JoinToken& token);
// kUsage unless `address` is HOST:PORT or [V6]:PORT with a port of 1–65535.
Result<void> check_address(std::string_view address);

inline constexpr std::string_view kEnrolExporterLabel = "EXPORTER-rexec-enrol";
inline constexpr std::size_t kEnrolExporterSize = 32;
Digest enrol_proof(const TokenSecret& secret, ByteSpan exporter, ByteSpan csr_der);
// Constant time (FAULTS A10).
bool enrol_proof_matches(const TokenSecret& secret, ByteSpan exporter, ByteSpan csr_der,
                         ByteSpan proof);

}  // namespace rexec::pki
