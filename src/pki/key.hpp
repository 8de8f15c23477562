// EC P-256 private keys: made here, kept in 0600 files, wiped by libcrypto when freed. No other
// curve and no RSA is accepted anywhere (FAULTS L18). Certificates are certificate.hpp.
#pragma once

#include <string>

#include "src/base/bytes.hpp"
#include "src/base/error.hpp"
#include "src/pki/digest.hpp"
#include "src/pki/openssl.hpp"

namespace rexec::pki {

// DER loads about 0.9 ms faster than PEM in a cold client, which is why contexts keep DER; PEM is
// for people.
enum class Encoding { kDer, kPem };

class Key {
 public:
  static Key generate();
  // PKCS#8 or SEC1, DER or PEM, told apart by the first bytes. kConfig when it is no P-256 private
  // key.
  static Result<Key> parse(std::string_view bytes);
  // kKeyExposed when others can read the file; the message names the path.
  static Result<Key> load(const std::string& path);

  // Mode 0600 whatever the umask.
  Result<void> save(const std::string& path, Encoding encoding = Encoding::kDer) const;
  // PKCS#8. A secret: for save() and for handing over to a process that may have it.
  std::string encode(Encoding encoding) const;
  EVP_PKEY* get() const { return key_.get(); }

 private:
  explicit Key(PkeyPtr key) : key_(std::move(key)) {}
  PkeyPtr key_;
};

// True for a P-256 key, public or private.
bool is_p256(const EVP_PKEY* key);
// SHA-256 of the DER SubjectPublicKeyInfo: the pin of a CA, and what "the same key" means
// everywhere.
Digest spki_hash(const EVP_PKEY* key);
Digest spki_hash(const X509* certificate);
// kPinMismatch naming both hashes when the CA is not the pinned one (FAULTS A6).
Result<void> check_pin(const X509* ca, const Digest& pin);

}  // namespace rexec::pki
