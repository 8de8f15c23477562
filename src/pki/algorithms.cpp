// See algorithms.hpp.
#include "src/pki/algorithms.hpp"

#include <openssl/core_dispatch.h>
#include <openssl/provider.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

// Its name is in every static libcrypto since 3.0 but in no header. Weak: a shared one hides it.
extern "C" [[gnu::weak]] OSSL_provider_init_fn ossl_default_provider_init;

namespace rexec::pki {
namespace {

struct Family {
  int operation;
  std::vector<std::string_view> names;  // as the stock provider spells an algorithm's first name
};

// What follows a name: who asks for it.
const std::vector<Family>& families() {
  static const std::vector<Family> all = {
      {OSSL_OP_DIGEST,
       {"SHA2-256", "SHA2-384", "SHA1" /* X.509's key identifiers */,
        "SHA2-512" /* ECDSA's nonces */}},
      {OSSL_OP_CIPHER,
       {"AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305", "AES-256-CBC" /* the server's tickets */,
        "AES-256-CTR", "AES-256-ECB" /* both: the random generator */}},
      {OSSL_OP_MAC, {"HMAC"}},
      {OSSL_OP_KDF, {"HKDF", "TLS13-KDF"}},
      {OSSL_OP_KEYMGMT, {"EC", "X25519", "HMAC", "HKDF"}},
      {OSSL_OP_KEYEXCH, {"ECDH", "X25519"}},
      {OSSL_OP_SIGNATURE, {"ECDSA", "HMAC"}},
      {OSSL_OP_DECODER, {"EC", "DER", "SubjectPublicKeyInfo", "PrivateKeyInfo"}},
      {OSSL_OP_ENCODER, {"EC"}},
      {OSSL_OP_ASYM_CIPHER, {}},
      {OSSL_OP_KEM, {}},
  };
  return all;
}

// One entry for each operation, ended by OpenSSL's empty algorithm; an operation that is not ours
// has none.
std::array<std::vector<OSSL_ALGORITHM>, OSSL_OP__HIGHEST + 1> chosen;
OSSL_FUNC_provider_query_operation_fn* query_stock = nullptr;

void choose(void* stock) {
  for (const Family& family : families()) {
    auto& mine = chosen[static_cast<std::size_t>(family.operation)];
    int no_cache = 0;
    const OSSL_ALGORITHM* all = query_stock(stock, family.operation, &no_cache);
    for (; all != nullptr && all->algorithm_names != nullptr; ++all) {
      const std::string_view names(all->algorithm_names);
      const auto first = names.substr(0, names.find(':'));
      if (std::find(family.names.begin(), family.names.end(), first) != family.names.end())
        mine.push_back(*all);
    }
    mine.push_back({});
  }
}

const OSSL_ALGORITHM* query(void* stock, int operation, int* no_cache) {
  const auto at = static_cast<std::size_t>(operation);
  if (operation < 0 || at >= chosen.size() || chosen[at].empty())
    return query_stock(stock, operation, no_cache);
  *no_cache = 0;
  return chosen[at].data();
}

int start(const OSSL_CORE_HANDLE* handle, const OSSL_DISPATCH* core, const OSSL_DISPATCH** out,
          void** context) {
  static std::vector<OSSL_DISPATCH> mine;
  const OSSL_DISPATCH* stock = nullptr;
  if (ossl_default_provider_init(handle, core, &stock, context) != 1) return 0;
  mine.clear();
  for (; stock->function_id != 0; ++stock) {
    mine.push_back(*stock);
    if (stock->function_id != OSSL_FUNC_PROVIDER_QUERY_OPERATION) continue;
    query_stock = OSSL_FUNC_provider_query_operation(stock);
    mine.back().function = reinterpret_cast<void (*)()>(query);
  }
  mine.push_back({});
  if (query_stock == nullptr) return 0;
  choose(*context);
  *out = mine.data();
  return 1;
}

}  // namespace

void use_few_algorithms() {
  if (ossl_default_provider_init == nullptr) return;
  if (OSSL_PROVIDER_add_builtin(nullptr, "rexec", start) == 1)
    static_cast<void>(OSSL_PROVIDER_load(nullptr, "rexec"));
}

}  // namespace rexec::pki
