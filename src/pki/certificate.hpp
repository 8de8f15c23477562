// Certificates: the cluster's self-signed CA, leaves that carry one identity, and the one check
// both ends of every TLS session make. It does not know revocation (the store's) nor sessions
// (net's); `now` is always handed in.
#pragma once

#include <cstddef>
#include <string>

#include "src/base/bytes.hpp"
#include "src/base/clock.hpp"
#include "src/base/error.hpp"
#include "src/pki/identity.hpp"
#include "src/pki/key.hpp"
#include "src/pki/openssl.hpp"

namespace rexec::pki {

inline constexpr Millis kBackdate =
    std::chrono::minutes(5);  // clocks that are 4 minutes apart work (FAULTS L17)
inline constexpr Millis kRenewalGrace =
    std::chrono::days(30);  // expired, not revoked: may still renew, nothing else
inline constexpr Millis kNodeLifetime = std::chrono::hours(24);
inline constexpr Millis kUserLifetime = std::chrono::hours(8);
inline constexpr Millis kControllerLifetime = std::chrono::days(90);
inline constexpr Millis kCaLifetime = std::chrono::years(20);
inline constexpr std::size_t kMaxCertificate = 16 * 1024;  // FAULTS L4

struct LeafOptions {
  Role role = Role::kUser;
  std::string id;
  WallTime now;
  Millis lifetime{};
};

// The cluster's name is the CA's common name. kUsage for a name that check_name refuses.
Result<X509Ptr> issue_ca(const Key& key, const std::string& cluster, WallTime now,
                         Millis lifetime = kCaLifetime);
// A leaf for `public_key` in the CA's cluster, valid from now − kBackdate to now + lifetime, with a
// random 128-bit serial.
Result<X509Ptr> issue_leaf(const Key& ca_key, const X509* ca, const EVP_PKEY* public_key,
                           const LeafOptions& options);

// DER or PEM; one certificate, at most kMaxCertificate. kDenied otherwise.
Result<X509Ptr> parse_certificate(std::string_view bytes);
Result<X509Ptr> load_certificate(const std::string& path);
std::string encode_certificate(const X509* certificate, Encoding encoding = Encoding::kDer);

// What the certificate claims, before anybody has verified it. kDenied for no or two URIs and
// everything that parse_identity_uri refuses, for an RSA key and for any signature but ECDSA with
// SHA-256 (FAULTS L16, L18).
Result<Identity> parse_identity(const X509* certificate);
// The cluster of a well-formed CA certificate: self-signed, CA:TRUE, P-256. kDenied otherwise.
Result<std::string> parse_ca(const X509* ca);

// kExpiredToo is for renewal and for listening ends that allow only renewal to an expired peer; up
// to kRenewalGrace.
enum class Accept { kValidOnly, kExpiredToo };
// parse_identity, and: signed by this very CA, of its cluster, CA:FALSE, key usage and extended key
// usage of its role, valid at `now`. kExpired names both clocks (FAULTS L7) — for the local log; a
// peer is only told the code. Otherwise kDenied.
Result<Identity> verify_leaf(const X509* leaf, const X509* ca, WallTime now,
                             Accept accept = Accept::kValidOnly);
// The dates alone, as verify_leaf sees them.
Result<void> check_validity(const Identity& identity, WallTime now, Accept accept);
// True once `now` is past the certificate's end.
bool is_expired(const Identity& identity, WallTime now);

}  // namespace rexec::pki
