// Ownership of libcrypto's objects, and its error queue as one line of text. No TLS: libssl is
// src/net's alone.
#pragma once

#include <openssl/types.h>

#include <memory>
#include <string>

struct X509_req_st;  // X509_REQ, which openssl/types.h does not name

namespace rexec::pki {

struct FreePkey {
  void operator()(EVP_PKEY* key) const noexcept;
};
struct FreeX509 {
  void operator()(X509* certificate) const noexcept;
};
struct FreeX509Req {
  void operator()(X509_req_st* request) const noexcept;
};
using PkeyPtr = std::unique_ptr<EVP_PKEY, FreePkey>;
using X509Ptr = std::unique_ptr<X509, FreeX509>;
using X509ReqPtr = std::unique_ptr<X509_req_st, FreeX509Req>;

// Starts libcrypto without reading openssl.cnf (a cold client spends its time elsewhere, and a
// host's configuration must not weaken ours). Every entry into this folder calls it; only the first
// call does anything.
void prepare_openssl();

// The oldest queued error's text; empties the queue, so that no later call reports it as its own.
std::string openssl_error();

}  // namespace rexec::pki
