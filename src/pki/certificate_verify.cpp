// Whether a certificate's claim holds (certificate.hpp). One level only: a leaf is signed by the CA
// itself or it is nothing, so a leaf that signed another leaf never matters (FAULTS L6, L8).
#include <openssl/asn1.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "src/base/ids.hpp"
#include "src/pki/certificate.hpp"

namespace rexec::pki {
namespace {

std::unexpected<Error> refused(std::string why) {
  openssl_error();
  return fail(Code::kDenied, "the certificate is refused: " + std::move(why));
}

// libcrypto caches what it parsed of the extensions in the object: it wants it mutable, the value
// stays the same.
X509* mutable_view(const X509* certificate) { return const_cast<X509*>(certificate); }

std::string common_name(const X509* certificate) {
  char name[65] = {};
  const int size = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName,
                                             name, sizeof name);
  return size > 0 ? std::string(name, static_cast<std::size_t>(size)) : std::string();
}

std::uint32_t wanted_extended_usage(Role role) {
  return role == Role::kController ? XKU_SSL_SERVER | XKU_SSL_CLIENT : XKU_SSL_CLIENT;
}

Result<void> check_leaf_usage(const X509* leaf, Role role) {
  X509* view = mutable_view(leaf);
  const std::uint32_t flags = X509_get_extension_flags(view);
  if ((flags & EXFLAG_INVALID) != 0) return refused("malformed extensions");
  if ((flags & EXFLAG_CRITICAL) != 0) return refused("an unknown critical extension");
  if ((flags & EXFLAG_BCONS) == 0 || (flags & EXFLAG_CA) != 0) return refused("not CA:FALSE");
  if (X509_get_key_usage(view) != KU_DIGITAL_SIGNATURE) return refused("a wrong key usage");
  if (X509_get_extended_key_usage(view) != wanted_extended_usage(role)) {
    return refused("a wrong extended key usage for a " + std::string(role_name(role)));
  }
  return {};
}

Result<void> check_signature(const X509* leaf, const X509* ca) {
  if (X509_NAME_cmp(X509_get_issuer_name(leaf), X509_get_subject_name(ca)) != 0) {
    return refused("issued by another CA");
  }
  EVP_PKEY* key = X509_get0_pubkey(ca);
  if (key == nullptr || X509_verify(mutable_view(leaf), key) != 1) {
    return refused("not signed by this cluster's CA");
  }
  return {};
}

}  // namespace

Result<void> check_validity(const Identity& identity, WallTime now, Accept accept) {
  const std::string who = std::string(role_name(identity.role)) + " " + identity.id;
  const std::string clock = "; the clock here says " + to_iso8601(now);
  if (now < identity.not_before) {
    return fail(Code::kExpired,
                "the certificate of " + who + " is not valid before " +
                    to_iso8601(identity.not_before) + clock,
                "one of the two clocks is wrong: compare `date -u` on both machines");
  }
  const Millis grace = accept == Accept::kExpiredToo ? kRenewalGrace : Millis(0);
  if (now > identity.not_after + grace) {
    return fail(Code::kExpired,
                "the certificate of " + who + " ended at " + to_iso8601(identity.not_after) + clock,
                "if the clocks are right, enrol again with a new token");
  }
  return {};
}

Result<std::string> parse_ca(const X509* ca) {
  X509* view = mutable_view(ca);
  const std::uint32_t flags = X509_get_extension_flags(view);
  if ((flags & EXFLAG_INVALID) != 0 || (flags & EXFLAG_CRITICAL) != 0) {
    return refused("a CA with malformed or unknown extensions");
  }
  if ((flags & EXFLAG_BCONS) == 0 || (flags & EXFLAG_CA) == 0) return refused("not a CA");
  if (X509_get_key_usage(view) != KU_KEY_CERT_SIGN) return refused("a CA that may not sign");
  if (!is_p256(X509_get0_pubkey(ca))) return refused("a CA whose key is not P-256");
  if (X509_get_signature_nid(ca) != NID_ecdsa_with_SHA256 ||
      X509_verify(view, X509_get0_pubkey(ca)) != 1) {
    return refused("a CA that did not sign itself with ECDSA and SHA-256");
  }
  std::string cluster = common_name(ca);
  if (!check_name("cluster", cluster)) return refused("a CA without a cluster name");
  return cluster;
}

Result<Identity> verify_leaf(const X509* leaf, const X509* ca, WallTime now, Accept accept) {
  auto identity = parse_identity(leaf);
  if (!identity) return identity;
  if (auto ok = check_signature(leaf, ca); !ok) return std::unexpected(ok.error());
  if (auto ok = check_leaf_usage(leaf, identity->role); !ok) return std::unexpected(ok.error());
  if (common_name(ca) != identity->cluster) return refused("it names another cluster");
  if (auto ok = check_validity(*identity, now, accept); !ok) return std::unexpected(ok.error());
  return identity;
}

}  // namespace rexec::pki
