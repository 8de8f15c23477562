// What is behind a TlsContext. Private to tls_context.cpp, which fills it, and tls.cpp, which makes
// connections from it.
#pragma once

#include <openssl/ssl.h>

#include "src/net/tls.hpp"
#include "src/pki/digest.hpp"

namespace rexec::net {

// The one protocol, as ALPN writes it.
inline constexpr unsigned char kAlpn[] = {7, 'r', 'e', 'x', 'e', 'c', '/', '1'};

// What OpenSSL's callbacks have to say about one connection.
struct TlsNotes {
  std::optional<Error> refusal;
  std::optional<pki::Identity> peer;  // once the handshake is over; first whom a ticket names
  unsigned key_updates = 0;
  BootTime key_updates_since{};
};

struct TlsContext::State {
  enum class Party { kServer, kClient };
  SSL_CTX* context = nullptr;
  bool is_server = false;
  std::optional<Credentials> pending;  // not parsed yet
  pki::Digest made_with{};             // certificates_id(), on the client's side
  std::optional<pki::Identity> own;    // what the own certificate claims
  pki::X509Ptr ca;                     // none in a stranger's context, which has
  std::string pin;                     // the SHA-256 of its key
  pki::Accept accept = pki::Accept::kValidOnly;
  std::function<void(std::string)> keep_ticket;

  explicit State(Party party);
  ~State() {
    SSL_CTX_set_app_data(context, nullptr);  // connections keep the SSL_CTX, not this
    SSL_CTX_free(context);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  Result<void> use(const Credentials& credentials);
  // Uses what is pending, once; kNotSignedIn when it is damaged.
  Result<void> load();
  // Nothing once the context is gone.
  static State* of(const SSL* ssl) {
    return static_cast<State*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  }
  static TlsNotes& notes(const SSL* ssl) { return *static_cast<TlsNotes*>(SSL_get_app_data(ssl)); }
};

}  // namespace rexec::net
