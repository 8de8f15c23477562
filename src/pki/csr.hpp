// PKCS#10 requests: what a joining or renewing party sends. Only the public key in one counts;
// names and extensions in it are ignored, the issuer decides them. Parsing bounds the size first
// and proves possession of the key.
#pragma once

#include <cstddef>
#include <string>

#include "src/base/bytes.hpp"
#include "src/base/error.hpp"
#include "src/pki/key.hpp"

namespace rexec::pki {

inline constexpr std::size_t kMaxCsr = 4096;

// DER, about 200 bytes.
Result<std::string> make_csr(const Key& key);

struct Csr {
  PkeyPtr public_key;
  Digest key_hash;  // spki_hash of it
};
// kProtocol: larger than kMaxCsr, bytes after the end, not P-256, not ECDSA with SHA-256, or not
// signed by its own key.
Result<Csr> parse_csr(ByteSpan der);

}  // namespace rexec::pki
