// Who is believed: the three contexts, and how each verifies its peer.
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <utility>

#include "src/net/tls_state.hpp"
#include "src/net/tls_ticket.hpp"
#include "src/pki/openssl.hpp"

namespace rexec::net {
namespace {

constexpr int kMaxChainBytes = 16 << 10;
constexpr unsigned kMaxKeyUpdates = 32;  // a minute

std::unexpected<Error> fail_openssl(std::string_view what) {
  return fail(Code::kIo, std::string(what) + ": " + pki::openssl_error());
}

// The CA that a stranger's pin names, among what the peer sent.
Result<const X509*> find_pinned(const STACK_OF(X509) * sent, const std::string& pin) {
  for (int i = 0; i < sk_X509_num(sent); ++i) {
    const X509* candidate = sk_X509_value(sent, i);
    if (as_text(pki::spki_hash(candidate)) != pin) continue;
    auto cluster = pki::parse_ca(candidate);
    if (!cluster) return std::unexpected(cluster.error());
    return candidate;
  }
  return fail(Code::kPinMismatch, "the controller's CA is not the pinned one");
}

Result<void> check_peer(TlsContext::State& state, X509_STORE_CTX* store) {
  const auto loaded = state.load();
  if (!loaded) return std::unexpected(loaded.error());
  const X509* ca = state.ca.get();
  if (ca == nullptr) {
    auto pinned = find_pinned(X509_STORE_CTX_get0_untrusted(store), state.pin);
    if (!pinned) return std::unexpected(pinned.error());
    ca = *pinned;
  }
  const auto leaf = pki::verify_leaf(X509_STORE_CTX_get0_cert(store), ca, wall_now(), state.accept);
  if (!leaf) return std::unexpected(leaf.error());
  if (!state.is_server && leaf->role != pki::Role::kController)
    return fail(Code::kDenied, "the peer's certificate is not a controller's");
  return {};
}

// In place of libcrypto's chain building: a leaf is signed by the cluster's CA itself or refused.
int verify_peer(X509_STORE_CTX* store, void*) {
  auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  const auto checked = check_peer(*TlsContext::State::of(ssl), store);
  if (checked) {
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
  }
  TlsContext::State::notes(ssl).refusal = checked.error();
  const bool expired = checked.error().code == Code::kExpired;
  X509_STORE_CTX_set_error(store,
                           expired ? X509_V_ERR_CERT_HAS_EXPIRED : X509_V_ERR_CERT_UNTRUSTED);
  return 0;
}

// A full handshake after all, of a context whose credentials were left alone until now.
int give_certificate(SSL* ssl, void*) {
  TlsContext::State* state = TlsContext::State::of(ssl);
  if (state == nullptr) return 0;
  const auto loaded = state->load();
  if (!loaded) {
    TlsContext::State::notes(ssl).refusal = loaded.error();
    return 0;
  }
  return SSL_use_certificate(ssl, SSL_CTX_get0_certificate(state->context)) == 1 &&
                 SSL_use_PrivateKey(ssl, SSL_CTX_get0_privatekey(state->context)) == 1
             ? 1
             : 0;
}

// Each KeyUpdate costs us a key derivation and the peer 20 bytes.
void count_key_updates(int is_ours, int, int type, const void* bytes, std::size_t size, SSL* ssl,
                       void*) {
  if (is_ours == 1 || type != SSL3_RT_HANDSHAKE || size == 0) return;
  if (*static_cast<const std::uint8_t*>(bytes) != SSL3_MT_KEY_UPDATE) return;
  TlsNotes& notes = TlsContext::State::notes(ssl);
  const BootTime now = BootClock::now();
  if (now > notes.key_updates_since + std::chrono::minutes(1)) {
    notes.key_updates_since = now;
    notes.key_updates = 0;
  }
  if (++notes.key_updates > kMaxKeyUpdates)
    notes.refusal = Error{Code::kLimit, "the peer changes its keys all the time", {}};
}

int select_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                unsigned in_size, void*) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, kAlpn, sizeof kAlpn, in, in_size) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

TlsContext::State::State(Party party) : is_server(party == Party::kServer) {
  pki::prepare_openssl();
  OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
  context = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  // AES first where the processor has it; OpenSSL's own order puts the slower AES-256 before.
  SSL_CTX_set_ciphersuites(
      context, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384");
  SSL_CTX_set1_groups_list(context, "X25519");
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  // A record comes in one call, not its header in one and the rest in another.
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_max_cert_list(context, kMaxChainBytes);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(context, verify_peer, nullptr);
  SSL_CTX_set_num_tickets(context, 1);
  SSL_CTX_set_session_id_context(context, kAlpn, sizeof kAlpn);
  SSL_CTX_set_msg_callback(context, count_key_updates);
  SSL_CTX_set_app_data(context, this);
  if (is_server) {
    SSL_CTX_set_alpn_select_cb(context, select_alpn, nullptr);
    // Tickets only: the server keeps no state.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  } else {
    SSL_CTX_set_alpn_protos(context, kAlpn, sizeof kAlpn);
  }
}

Result<void> TlsContext::State::load() {
  if (!pending) return {};
  const Credentials credentials = *std::exchange(pending, std::nullopt);
  auto used = use(credentials);
  if (!used)
    return fail(Code::kNotSignedIn, "the own credentials are damaged: " + used.error().message,
                "sign in again: rexec login rx1_…");
  return {};
}

Result<void> TlsContext::State::use(const Credentials& credentials) {
  auto parsed = pki::parse_certificate(credentials.ca);
  if (!parsed) return std::unexpected(parsed.error());
  ca = std::move(*parsed);
  // Once: each parse of a certificate costs libcrypto about as much as a whole key exchange.
  auto leaf = pki::parse_certificate(credentials.certificate);
  if (!leaf) return std::unexpected(leaf.error());
  if (auto identity = pki::parse_identity(leaf->get())) own = std::move(*identity);
  const auto key = reinterpret_cast<const unsigned char*>(credentials.key.data());
  if (SSL_CTX_use_certificate(context, leaf->get()) != 1)
    return fail_openssl("cannot use the certificate");
  if (SSL_CTX_use_PrivateKey_ASN1(EVP_PKEY_EC, context, key,
                                  static_cast<long>(credentials.key.size())) != 1)
    return fail_openssl("cannot use the private key");
  if (SSL_CTX_check_private_key(context) != 1)
    return fail_openssl("the private key does not fit the certificate");
  // A joining node finds its pin in what the controller sends.
  if (is_server && SSL_CTX_add1_chain_cert(context, ca.get()) != 1)
    return fail_openssl("cannot use the CA certificate");
  return {};
}

TlsContext::TlsContext(std::unique_ptr<State> state) : state_(std::move(state)) {}
TlsContext::~TlsContext() = default;
TlsContext::TlsContext(TlsContext&&) noexcept = default;
TlsContext& TlsContext::operator=(TlsContext&&) noexcept = default;

Result<TlsContext> TlsContext::server(const Credentials& credentials) {
  auto state = std::make_unique<State>(State::Party::kServer);
  auto used = state->use(credentials);
  if (!used) return std::unexpected(used.error());
  state->accept = pki::Accept::kExpiredToo;  // who may only renew is for the session to say
  return TlsContext(std::move(state));
}

Result<TlsContext> TlsContext::client(const Credentials& credentials, Load load) {
  auto state = std::make_unique<State>(State::Party::kClient);
  state->made_with = certificates_id(credentials.ca, credentials.certificate);
  if (load == Load::kWhenNeeded) {
    state->pending = credentials;
    SSL_CTX_set_cert_cb(state->context, give_certificate, nullptr);
    return TlsContext(std::move(state));
  }
  auto used = state->use(credentials);
  if (!used) return std::unexpected(used.error());
  return TlsContext(std::move(state));
}

Result<TlsContext> TlsContext::stranger(const std::string& ca_pin) {
  auto state = std::make_unique<State>(State::Party::kClient);
  state->pin = ca_pin;
  return TlsContext(std::move(state));
}

const std::optional<pki::Identity>& TlsContext::own() const { return state_->own; }

void TlsContext::on_ticket(std::function<void(std::string)> keep) {
  state_->keep_ticket = std::move(keep);
  SSL_CTX_set_session_cache_mode(state_->context,
                                 SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(state_->context, [](SSL* ssl, SSL_SESSION* session) {
    const State* state = State::of(ssl);
    const auto& peer = State::notes(ssl).peer;
    if (state == nullptr || !peer) return 0;
    std::string der = encode_session(session);
    if (!der.empty()) state->keep_ticket(encode_ticket({state->made_with, *peer, std::move(der)}));
    return 0;
  });
}

}  // namespace rexec::net
