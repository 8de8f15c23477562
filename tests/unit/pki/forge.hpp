// Certificates that a rexec CA would never make, to show that they are refused. Test only.
#pragma once

#include <openssl/asn1.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <string>
#include <vector>

#include "src/base/bytes.hpp"
#include "src/pki/certificate.hpp"

namespace rexec::pki::forge {

struct Recipe {
  std::vector<std::string> uris;  // exact bytes of each URI name
  std::string dns;                // one DNS name beside them
  std::string basic = "critical,CA:FALSE";
  std::string usage = "critical,digitalSignature";
  std::string extended = "clientAuth";
  const EVP_MD* digest = EVP_sha256();
  EVP_PKEY* subject_key = nullptr;  // defaults to a fresh P-256 key
};

// An RSA key as another program would make it: this process's libcrypto has no such algorithm.
inline PkeyPtr rsa_key() {
  static OSSL_LIB_CTX* const stock = OSSL_LIB_CTX_new();
  return PkeyPtr(EVP_PKEY_Q_keygen(stock, nullptr, "RSA", std::size_t{1024}));
}

inline void extend(X509* certificate, int nid, const std::string& value) {
  if (value.empty()) return;
  X509_EXTENSION* made = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
  X509_add_ext(certificate, made, -1);
  X509_EXTENSION_free(made);
}

inline void add_name(GENERAL_NAMES* names, int type, const std::string& text) {
  GENERAL_NAME* name = GENERAL_NAME_new();
  ASN1_IA5STRING* string = ASN1_IA5STRING_new();
  ASN1_STRING_set(string, text.data(), static_cast<int>(text.size()));
  GENERAL_NAME_set0_value(name, type, string);
  sk_GENERAL_NAME_push(names, name);
}

inline void set_names(X509* certificate, const Recipe& recipe) {
  if (recipe.uris.empty() && recipe.dns.empty()) return;
  GENERAL_NAMES* names = sk_GENERAL_NAME_new_null();
  for (const std::string& uri : recipe.uris) add_name(names, GEN_URI, uri);
  if (!recipe.dns.empty()) add_name(names, GEN_DNS, recipe.dns);
  X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0);
  GENERAL_NAMES_free(names);
}

// Valid from an hour before `now` to an hour after, signed by `signer` in the name of `issuer`.
inline X509Ptr leaf(const Key& signer, const X509* issuer, WallTime now, const Recipe& recipe) {
  const Key own = Key::generate();
  X509Ptr made(X509_new());
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  X509_set_version(made.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 77);
  ASN1_TIME_set(X509_getm_notBefore(made.get()), seconds - 3600);
  ASN1_TIME_set(X509_getm_notAfter(made.get()), seconds + 3600);
  X509_set_issuer_name(made.get(), X509_get_subject_name(issuer));
  X509_set_pubkey(made.get(), recipe.subject_key != nullptr ? recipe.subject_key : own.get());
  extend(made.get(), NID_basic_constraints, recipe.basic);
  extend(made.get(), NID_key_usage, recipe.usage);
  extend(made.get(), NID_ext_key_usage, recipe.extended);
  set_names(made.get(), recipe);
  X509_sign(made.get(), signer.get(), recipe.digest);
  return made;
}

}  // namespace rexec::pki::forge
