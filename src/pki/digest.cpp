// See digest.hpp. The fetched algorithm and one context per thread are kept: verifying an audit
// chain hashes half a million short rows a second, and fetching costs more than hashing one.
#include "src/pki/digest.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <memory>
#include <string>

#include "src/base/check.hpp"
#include "src/pki/openssl.hpp"

namespace rexec::pki {
namespace {

const EVP_MD* sha256_algorithm() {
  static const EVP_MD* algorithm = [] {
    prepare_openssl();
    return EVP_MD_fetch(nullptr, "SHA256", nullptr);
  }();
  check(algorithm != nullptr, "libcrypto has SHA-256");
  return algorithm;
}

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};

}  // namespace

Digest sha256(std::initializer_list<ByteSpan> parts) {
  thread_local const std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
  Digest digest;
  int ok = EVP_DigestInit_ex(context.get(), sha256_algorithm(), nullptr);
  for (const ByteSpan part : parts) ok &= EVP_DigestUpdate(context.get(), part.data(), part.size());
  ok &= EVP_DigestFinal_ex(context.get(), digest.data(), nullptr);
  check(ok == 1, "SHA-256 works");
  return digest;
}

struct Sha256::State {
  std::unique_ptr<EVP_MD_CTX, FreeContext> context{EVP_MD_CTX_new()};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  check(EVP_DigestInit_ex(state_->context.get(), sha256_algorithm(), nullptr) == 1,
        "SHA-256 begins");
}
Sha256::~Sha256() = default;

void Sha256::add(ByteSpan bytes) {
  check(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1, "SHA-256 works");
}

Digest Sha256::finish() {
  Digest digest;
  check(EVP_DigestFinal_ex(state_->context.get(), digest.data(), nullptr) == 1, "SHA-256 ends");
  return digest;
}

Digest hmac_sha256(ByteSpan key, std::initializer_list<ByteSpan> parts) {
  std::string message;
  for (const ByteSpan part : parts) message.append(as_text(part));
  Digest digest;
  const auto* made = HMAC(sha256_algorithm(), key.data(), static_cast<int>(key.size()),
                          as_bytes(message).data(), message.size(), digest.data(), nullptr);
  check(made != nullptr, "HMAC works");
  return digest;
}

bool constant_time_equal(ByteSpan a, ByteSpan b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace rexec::pki
