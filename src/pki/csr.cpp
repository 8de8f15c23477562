// See csr.hpp.
#include "src/pki/csr.hpp"

#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/x509.h>

namespace rexec::pki {

Result<std::string> make_csr(const Key& key) {
  prepare_openssl();
  const X509ReqPtr request(X509_REQ_new());
  if (X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) != 1 ||
      X509_REQ_set_pubkey(request.get(), key.get()) != 1 ||
      X509_REQ_sign(request.get(), key.get(), EVP_sha256()) == 0) {
    return fail(Code::kInternal, "cannot make a certificate request: " + openssl_error());
  }
  unsigned char* der = nullptr;
  const int size = i2d_X509_REQ(request.get(), &der);
  if (size <= 0) return fail(Code::kInternal, "cannot encode a certificate request");
  std::string bytes(as_text(ByteSpan(der, static_cast<std::size_t>(size))));
  OPENSSL_free(der);
  return bytes;
}

Result<Csr> parse_csr(ByteSpan der) {
  prepare_openssl();
  const auto refused = [](const char* why) {
    openssl_error();
    return fail(Code::kProtocol, std::string("bad certificate request: ") + why);
  };
  if (der.size() > kMaxCsr) return refused("larger than 4 KiB");
  const unsigned char* at = der.data();
  const X509ReqPtr request(d2i_X509_REQ(nullptr, &at, static_cast<long>(der.size())));
  if (!request) return refused("not PKCS#10");
  if (at != der.data() + der.size()) return refused("bytes after its end");
  PkeyPtr key(X509_REQ_get_pubkey(request.get()));
  if (!key || !is_p256(key.get())) return refused("not a P-256 key");
  if (X509_REQ_get_signature_nid(request.get()) != NID_ecdsa_with_SHA256) {
    return refused("not signed with ECDSA and SHA-256");
  }
  if (X509_REQ_verify(request.get(), key.get()) != 1) return refused("not signed by its own key");
  const Digest hash = spki_hash(key.get());
  return Csr{std::move(key), hash};
}

}  // namespace rexec::pki
