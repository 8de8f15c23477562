// Making certificates (certificate.hpp): the CA for itself, leaves for a public key that proved
// itself. Called by Authority.
#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>

#include "src/base/check.hpp"
#include "src/base/ids.hpp"
#include "src/pki/certificate.hpp"

namespace rexec::pki {
namespace {

struct FreeExtension {
  void operator()(X509_EXTENSION* extension) const noexcept { X509_EXTENSION_free(extension); }
};
struct FreeBignum {
  void operator()(BIGNUM* number) const noexcept { BN_free(number); }
};
struct FreeTime {
  void operator()(ASN1_TIME* time) const noexcept { ASN1_TIME_free(time); }
};
struct Validity {
  WallTime from;
  WallTime to;
};
struct Extension {
  int nid;
  std::string value;
};

// 16 bytes whatever the chance: the sign bit clear, the next one set.
bool set_serial(X509* certificate) {
  std::array<std::uint8_t, 16> bytes;
  random_bytes(bytes);
  bytes[0] = static_cast<std::uint8_t>((bytes[0] & 0x7f) | 0x40);
  const std::unique_ptr<BIGNUM, FreeBignum> number(BN_bin2bn(bytes.data(), bytes.size(), nullptr));
  return BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_validity(X509* certificate, const Validity& validity) {
  using std::chrono::ceil;
  using std::chrono::floor;
  using std::chrono::seconds;
  const auto from = floor<seconds>(validity.from).time_since_epoch().count();
  const auto to = ceil<seconds>(validity.to).time_since_epoch().count();
  const std::unique_ptr<ASN1_TIME, FreeTime> first(ASN1_TIME_set(nullptr, from));
  const std::unique_ptr<ASN1_TIME, FreeTime> last(ASN1_TIME_set(nullptr, to));
  return first && last && X509_set1_notBefore(certificate, first.get()) == 1 &&
         X509_set1_notAfter(certificate, last.get()) == 1;
}

bool set_common_name(X509* certificate, const std::string& name) {
  return X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                                    as_bytes(name).data(), static_cast<int>(name.size()), -1,
                                    0) == 1;
}

// `value` is OpenSSL's configuration syntax: ours alone, made of checked names.
bool add_extension(X509* certificate, const Extension& extension) {
  const std::unique_ptr<X509_EXTENSION, FreeExtension> made(
      X509V3_EXT_conf_nid(nullptr, nullptr, extension.nid, extension.value.c_str()));
  return made && X509_add_ext(certificate, made.get(), -1) == 1;
}

std::unexpected<Error> cannot(std::string_view what) {
  return fail(Code::kInternal, "cannot " + std::string(what) + ": " + openssl_error());
}

std::string extended_usage(Role role) {
  return role == Role::kController ? "serverAuth,clientAuth" : "clientAuth";
}

}  // namespace

Result<X509Ptr> issue_ca(const Key& key, const std::string& cluster, WallTime now,
                         Millis lifetime) {
  prepare_openssl();
  if (auto named = check_name("cluster", cluster); !named) return std::unexpected(named.error());
  X509Ptr ca(X509_new());
  bool ok = X509_set_version(ca.get(), X509_VERSION_3) == 1 && set_serial(ca.get()) &&
            set_validity(ca.get(), {now - kBackdate, now + lifetime}) &&
            set_common_name(ca.get(), cluster) &&
            X509_set_issuer_name(ca.get(), X509_get_subject_name(ca.get())) == 1 &&
            X509_set_pubkey(ca.get(), key.get()) == 1;
  ok = ok && add_extension(ca.get(), {NID_basic_constraints, "critical,CA:TRUE,pathlen:0"}) &&
       add_extension(ca.get(), {NID_key_usage, "critical,keyCertSign"});
  if (!ok || X509_sign(ca.get(), key.get(), EVP_sha256()) == 0) return cannot("make the CA");
  return ca;
}

Result<X509Ptr> issue_leaf(const Key& ca_key, const X509* ca, const EVP_PKEY* public_key,
                           const LeafOptions& options) {
  prepare_openssl();
  check(is_id(options.id, role_id_prefix(options.role)), "a leaf's id is of its role");
  check(is_p256(public_key), "a leaf's key is P-256");
  const auto cluster = parse_ca(ca);
  if (!cluster) return std::unexpected(cluster.error());
  X509Ptr leaf(X509_new());
  bool ok = X509_set_version(leaf.get(), X509_VERSION_3) == 1 && set_serial(leaf.get()) &&
            set_validity(leaf.get(), {options.now - kBackdate, options.now + options.lifetime}) &&
            set_common_name(leaf.get(), options.id) &&
            X509_set_issuer_name(leaf.get(), X509_get_subject_name(ca)) == 1 &&
            X509_set_pubkey(leaf.get(), const_cast<EVP_PKEY*>(public_key)) == 1;
  const std::string uri = identity_uri(options.role, *cluster, options.id);
  const std::array<Extension, 4> extensions = {{
      {NID_basic_constraints, "critical,CA:FALSE"},
      {NID_key_usage, "critical,digitalSignature"},
      {NID_ext_key_usage, extended_usage(options.role)},
      {NID_subject_alt_name, "URI:" + uri},
  }};
  for (const Extension& extension : extensions) ok = ok && add_extension(leaf.get(), extension);
  if (!ok || X509_sign(leaf.get(), ca_key.get(), EVP_sha256()) == 0) {
    return cannot("make a certificate");
  }
  return leaf;
}

}  // namespace rexec::pki
