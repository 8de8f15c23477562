// See key.hpp.
#include "src/pki/key.hpp"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <string_view>

#include "src/base/check.hpp"
#include "src/base/file.hpp"

namespace rexec::pki {
namespace {

struct FreeBio {
  void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};
using BioPtr = std::unique_ptr<BIO, FreeBio>;

// libcrypto would ask for a password on the terminal.
int no_password(char*, int, int, void*) { return -1; }

PkeyPtr parse_pem(std::string_view bytes) {
  const BioPtr bio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
  return PkeyPtr(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
}

PkeyPtr parse_der(std::string_view bytes) {
  const unsigned char* at = as_bytes(bytes).data();
  const unsigned char* const end = at + bytes.size();
  PkeyPtr key(d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(bytes.size())));
  return at == end ? std::move(key) : nullptr;
}

}  // namespace

Key Key::generate() {
  prepare_openssl();
  PkeyPtr key(EVP_EC_gen("P-256"));
  check(key != nullptr, "libcrypto makes P-256 keys");
  return Key(std::move(key));
}

Result<Key> Key::parse(std::string_view bytes) {
  prepare_openssl();
  PkeyPtr key = bytes.starts_with("-----BEGIN") ? parse_pem(bytes) : parse_der(bytes);
  if (!key) return fail(Code::kConfig, "not a private key: " + openssl_error());
  if (!is_p256(key.get())) return fail(Code::kConfig, "not a P-256 key");
  return Key(std::move(key));
}

Result<Key> Key::load(const std::string& path) {
  auto bytes = read_secret_file(path);
  if (!bytes) return std::unexpected(bytes.error());
  auto key = parse(*bytes);
  OPENSSL_cleanse(bytes->data(), bytes->size());
  if (!key) return fail(key.error().code, path + ": " + key.error().message);
  return key;
}

Result<void> Key::save(const std::string& path, Encoding encoding) const {
  std::string bytes = encode(encoding);
  auto written = write_file(path, bytes, 0600);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return written;
}

std::string Key::encode(Encoding encoding) const {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  const int ok =
      encoding == Encoding::kPem
          ? PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr,
                                          nullptr)
          : i2d_PKCS8PrivateKey_bio(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
  check(ok == 1, "a key can be written");
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  std::string bytes(data, static_cast<std::size_t>(size));
  OPENSSL_cleanse(data, static_cast<std::size_t>(size));
  return bytes;
}

bool is_p256(const EVP_PKEY* key) {
  if (key == nullptr || EVP_PKEY_get_base_id(key) != EVP_PKEY_EC) return false;
  char group[32] = {};
  return EVP_PKEY_get_group_name(key, group, sizeof group, nullptr) == 1 &&
         std::string_view(group) == "prime256v1";
}

Digest spki_hash(const EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  check(size > 0, "a public key can be written");
  const Digest digest = sha256(ByteSpan(der, static_cast<std::size_t>(size)));
  OPENSSL_free(der);
  return digest;
}

Digest spki_hash(const X509* certificate) {
  const EVP_PKEY* key = X509_get0_pubkey(certificate);
  // A peer's certificate may carry a key that libcrypto cannot decode: it then matches no pin.
  return key == nullptr ? Digest{} : spki_hash(key);
}

Result<void> check_pin(const X509* ca, const Digest& pin) {
  const Digest found = spki_hash(ca);
  if (found != Digest{} && found == pin) return {};
  return fail(Code::kPinMismatch,
              "the controller's CA is not the pinned one: expected " + to_hex(pin) + ", found " +
                  to_hex(found),
              "somebody else may be answering at this address; nothing was sent\n"
              "if the controller was made anew, ask for a new token");
}

}  // namespace rexec::pki
