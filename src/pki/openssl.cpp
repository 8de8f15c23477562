// See openssl.hpp.
#include "src/pki/openssl.hpp"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "src/pki/algorithms.hpp"

namespace rexec::pki {

void FreePkey::operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
void FreeX509::operator()(X509* certificate) const noexcept { X509_free(certificate); }
void FreeX509Req::operator()(X509_req_st* request) const noexcept { X509_REQ_free(request); }

void prepare_openssl() {
  static const bool started = [] {
    // No tidying up at the exit: a tenth of a short command's time, and the kernel does it.
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, nullptr);
    use_few_algorithms();
    return true;
  }();
  static_cast<void>(started);
}

std::string openssl_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "no reason given";
  char text[256];
  ERR_error_string_n(code, text, sizeof text);
  return text;
}

}  // namespace rexec::pki
