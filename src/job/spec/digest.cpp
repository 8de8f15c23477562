// XXH3-128 and SHA-256 by their libraries. See digest.hpp.
#include "src/job/spec/digest.hpp"

#include <openssl/evp.h>
#include <xxhash.h>

#include <new>

#include "src/base/check.hpp"

namespace rexec::job {
namespace {

struct FreeXxh {
  void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
};
struct FreeEvp {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Evp = std::unique_ptr<EVP_MD_CTX, FreeEvp>;

}  // namespace

struct StreamDigest::State {
  std::unique_ptr<XXH3_state_t, FreeXxh> xxh{XXH3_createState()};
  Evp sha;
};

StreamDigest::StreamDigest(Sha256 sha256) : state_(std::make_unique<State>()) {
  check(state_->xxh != nullptr, "xxh state");
  XXH3_128bits_reset(state_->xxh.get());
  if (sha256 == Sha256::kOff) return;
  state_->sha.reset(EVP_MD_CTX_new());
  check(state_->sha && EVP_DigestInit_ex(state_->sha.get(), EVP_sha256(), nullptr) == 1, "sha256");
}

StreamDigest::StreamDigest(StreamDigest&&) noexcept = default;
StreamDigest& StreamDigest::operator=(StreamDigest&&) noexcept = default;
StreamDigest::~StreamDigest() = default;

void StreamDigest::add(ByteSpan bytes) {
  XXH3_128bits_update(state_->xxh.get(), bytes.data(), bytes.size());
  if (state_->sha) EVP_DigestUpdate(state_->sha.get(), bytes.data(), bytes.size());
}

std::string StreamDigest::xxh128() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_->xxh.get()));
  return to_hex({canonical.digest, sizeof(canonical.digest)});
}

std::string StreamDigest::sha256() const {
  if (!state_->sha) return {};
  // On a copy, so that it can be asked while the stream goes on.
  const Evp copy(EVP_MD_CTX_new());
  std::uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  check(copy && EVP_MD_CTX_copy_ex(copy.get(), state_->sha.get()) == 1, "sha256 copy");
  check(EVP_DigestFinal_ex(copy.get(), digest, &size) == 1, "sha256 final");
  return to_hex({digest, size});
}

}  // namespace rexec::job
