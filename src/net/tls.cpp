#include "src/net/tls.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "src/base/clock.hpp"

namespace rexec::net {
namespace {

constexpr unsigned char kAlpn[] = {7, 'r', 'e', 'x', 'e', 'c', '/', '1'};
constexpr int kMaxChainBytes = 16 << 10;

std::string openssl_error() {
  const unsigned long code = ERR_peek_last_error();
  if (code == 0) return "unknown TLS error";
  char text[256];
  ERR_error_string_n(code, text, sizeof text);
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : text;
}

std::unexpected<Error> fail_openssl(std::string_view what) {
  return fail(Code::kIo, std::string(what) + ": " + openssl_error());
}

X509* certificate_from_der(const std::string& der) {
  auto at = reinterpret_cast<const unsigned char*>(der.data());
  return d2i_X509(nullptr, &at, static_cast<long>(der.size()));
}

// An expired leaf passes here and is judged by the session, which may let it renew.
int verify_but_for_dates(int ok, X509_STORE_CTX* store) {
  if (ok == 1) return 1;
  const int error = X509_STORE_CTX_get_error(store);
  if (error != X509_V_ERR_CERT_HAS_EXPIRED || X509_STORE_CTX_get_error_depth(store) != 0) return 0;
  X509_STORE_CTX_set_error(store, X509_V_OK);
  return 1;
}

// Finds the certificate whose key has the pinned digest among what the peer sent, and verifies the
// leaf against it alone.
int verify_by_pin(X509_STORE_CTX* store, void* argument) {
  const auto& pin = *static_cast<const std::string*>(argument);
  STACK_OF(X509)* sent = X509_STORE_CTX_get0_untrusted(store);
  for (int i = 0; i < sk_X509_num(sent); ++i) {
    X509* candidate = sk_X509_value(sent, i);
    const pki::Digest digest = pki::spki_hash(candidate);
    if (as_text(digest) != pin) continue;
    X509_STORE* trusted = X509_STORE_new();
    X509_STORE_add_cert(trusted, candidate);
    X509_STORE_CTX* inner = X509_STORE_CTX_new();
    X509_STORE_CTX_init(inner, trusted, X509_STORE_CTX_get0_cert(store), sent);
    const int ok = X509_verify_cert(inner);
    X509_STORE_CTX_set_error(store, ok == 1 ? X509_V_OK : X509_STORE_CTX_get_error(inner));
    X509_STORE_CTX_free(inner);
    X509_STORE_free(trusted);
    return ok == 1 ? 1 : 0;
  }
  X509_STORE_CTX_set_error(store, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN);
  return 0;
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

struct TlsContext::State {
  SSL_CTX* context = nullptr;
  bool is_server = false;
  std::string pin;
  std::function<void(std::string)> keep_ticket;

  explicit State(bool server) : is_server(server) {
    OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
    context = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    // AES first where the processor has it; OpenSSL's own order puts the slower AES-256 before.
    SSL_CTX_set_ciphersuites(
        context, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384");
    SSL_CTX_set1_groups_list(context, "X25519");
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_max_cert_list(context, kMaxChainBytes);
    SSL_CTX_set_verify_depth(context, 2);
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_session_id_context(context, kAlpn, sizeof kAlpn);
    SSL_CTX_set_app_data(context, this);
    if (server) {
      SSL_CTX_set_alpn_select_cb(context, select_alpn, nullptr);
      SSL_CTX_set_session_cache_mode(
          context, SSL_SESS_CACHE_OFF);  // tickets only: the server keeps no state
    } else {
      SSL_CTX_set_alpn_protos(context, kAlpn, sizeof kAlpn);
    }
  }
  ~State() { SSL_CTX_free(context); }

  Result<void> use(const Credentials& credentials) {
    X509* ca = certificate_from_der(credentials.ca);
    if (ca == nullptr) return fail_openssl("cannot read the CA certificate");
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca);
    if (is_server)
      SSL_CTX_add_extra_chain_cert(
          context, ca);  // takes ownership; a joining node checks its pin against it
    else
      X509_free(ca);
    const auto certificate = reinterpret_cast<const unsigned char*>(credentials.certificate.data());
    const auto key = reinterpret_cast<const unsigned char*>(credentials.key.data());
    if (SSL_CTX_use_certificate_ASN1(context, static_cast<int>(credentials.certificate.size()),
                                     certificate) != 1)
      return fail_openssl("cannot use the certificate");
    if (SSL_CTX_use_PrivateKey_ASN1(EVP_PKEY_EC, context, key,
                                    static_cast<long>(credentials.key.size())) != 1)
      return fail_openssl("cannot use the private key");
    if (SSL_CTX_check_private_key(context) != 1)
      return fail_openssl("the private key does not fit the certificate");
    return {};
  }
};

TlsContext::TlsContext(std::unique_ptr<State> state) : state_(std::move(state)) {}
TlsContext::~TlsContext() = default;
TlsContext::TlsContext(TlsContext&&) noexcept = default;
TlsContext& TlsContext::operator=(TlsContext&&) noexcept = default;

Result<TlsContext> TlsContext::server(const Credentials& credentials) {
  auto state = std::make_unique<State>(true);
  auto used = state->use(credentials);
  if (!used) return std::unexpected(used.error());
  SSL_CTX_set_verify(state->context, SSL_VERIFY_PEER, verify_but_for_dates);
  return TlsContext(std::move(state));
}

Result<TlsContext> TlsContext::client(const Credentials& credentials) {
  auto state = std::make_unique<State>(false);
  auto used = state->use(credentials);
  if (!used) return std::unexpected(used.error());
  SSL_CTX_set_verify(state->context, SSL_VERIFY_PEER, nullptr);
  return TlsContext(std::move(state));
}

Result<TlsContext> TlsContext::stranger(const std::string& ca_pin) {
  auto state = std::make_unique<State>(false);
  state->pin = ca_pin;
  SSL_CTX_set_verify(state->context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(state->context, verify_by_pin, &state->pin);
  return TlsContext(std::move(state));
}

void TlsContext::on_ticket(std::function<void(std::string)> keep) {
  state_->keep_ticket = std::move(keep);
  SSL_CTX_set_session_cache_mode(state_->context,
                                 SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(state_->context, [](SSL* ssl, SSL_SESSION* session) {
    auto* state = static_cast<State*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
    unsigned char* der = nullptr;
    const int size = i2d_SSL_SESSION(session, &der);
    if (size > 0)
      state->keep_ticket(std::string(reinterpret_cast<char*>(der), static_cast<std::size_t>(size)));
    OPENSSL_free(der);
    return 0;
  });
}

TlsTransport::TlsTransport(SSL* ssl, int fd) : ssl_(ssl), fd_(fd) {
  const int on = 1;
  const int lowat = 128 << 10;
  ::fcntl(fd_, F_SETFL, ::fcntl(fd_, F_GETFL) | O_NONBLOCK);
  ::fcntl(fd_, F_SETFD, FD_CLOEXEC);
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof lowat);
  SSL_set_fd(ssl_, fd_);
}

TlsTransport::~TlsTransport() {
  SSL_free(ssl_);
  ::close(fd_);
}

std::unique_ptr<TlsTransport> TlsTransport::accept(TlsContext& context, int fd) {
  std::unique_ptr<TlsTransport> transport(new TlsTransport(SSL_new(context.state_->context), fd));
  SSL_set_accept_state(transport->ssl_);
  return transport;
}

std::unique_ptr<TlsTransport> TlsTransport::connect(TlsContext& context, int fd,
                                                    const std::string& ticket) {
  std::unique_ptr<TlsTransport> transport(new TlsTransport(SSL_new(context.state_->context), fd));
  SSL_set_connect_state(transport->ssl_);
  if (!ticket.empty()) {
    auto at = reinterpret_cast<const unsigned char*>(ticket.data());
    SSL_SESSION* session = d2i_SSL_SESSION(nullptr, &at, static_cast<long>(ticket.size()));
    if (session != nullptr) SSL_set_session(transport->ssl_, session);
    SSL_SESSION_free(session);
    ERR_clear_error();
  }
  return transport;
}

IoResult TlsTransport::explain(int result) {
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      return {Io::kWantRead, 0};
    case SSL_ERROR_WANT_WRITE:
      return {Io::kWantWrite, 0};
    case SSL_ERROR_ZERO_RETURN:
      return {Io::kEof, 0};
    case SSL_ERROR_SYSCALL:
      failure_ = errno != 0 ? std::strerror(errno) : "the connection ended without a close";
      break;
    default: {
      const long verify = SSL_get_verify_result(ssl_);
      failure_ = verify != X509_V_OK
                     ? std::string("certificate: ") + X509_verify_cert_error_string(verify)
                     : openssl_error();
    }
  }
  broken_ = true;
  ERR_clear_error();
  return {Io::kFailed, 0};
}

Io TlsTransport::handshake() {
  ERR_clear_error();
  errno = 0;
  const int done = SSL_do_handshake(ssl_);
  if (done != 1) {
    const Io status = explain(done).status;
    return status == Io::kEof ? Io::kFailed : status;
  }
  if (!read_peer()) {
    broken_ = true;
    return Io::kFailed;
  }
  return Io::kDone;
}

bool TlsTransport::read_peer() {
  const unsigned char* alpn = nullptr;
  unsigned alpn_size = 0;
  SSL_get0_alpn_selected(ssl_, &alpn, &alpn_size);
  if (alpn_size != sizeof kAlpn - 1) {
    failure_ = "the peer does not speak rexec/1";
    return false;
  }
  X509* certificate = SSL_get0_peer_certificate(ssl_);
  if (certificate == nullptr) {
    if (SSL_is_server(ssl_) == 1) return true;
    failure_ = "the peer has no certificate";
    return false;
  }
  auto identity = pki::parse_identity(certificate);
  if (!identity) {
    failure_ = identity.error().message;
    return false;
  }
  if (SSL_is_server(ssl_) == 0 && identity->role != pki::Role::kController) {
    failure_ = "the peer's certificate is not a controller's";
    return false;
  }
  peer_ = std::move(*identity);
  return true;
}

std::string TlsTransport::peer_ca_der() const {
  STACK_OF(X509)* chain = SSL_get_peer_cert_chain(ssl_);
  const int count = chain == nullptr ? 0 : sk_X509_num(chain);
  if (count < 2) return {};
  unsigned char* der = nullptr;
  const int size = i2d_X509(sk_X509_value(chain, count - 1), &der);
  std::string out(reinterpret_cast<char*>(der), size > 0 ? static_cast<std::size_t>(size) : 0);
  OPENSSL_free(der);
  return out;
}

std::string TlsTransport::enrol_exporter() const {
  constexpr std::string_view kLabel = "EXPORTER-rexec-enrol";
  std::string out(32, '\0');
  const int ok =
      SSL_export_keying_material(ssl_, reinterpret_cast<unsigned char*>(out.data()), out.size(),
                                 kLabel.data(), kLabel.size(), nullptr, 0, 0);
  return ok == 1 ? out : std::string();
}

bool TlsTransport::resumed() const { return SSL_session_reused(ssl_) == 1; }

IoResult TlsTransport::read(MutableBytes to) {
  if (broken_) return {Io::kFailed, 0};
  ERR_clear_error();
  errno = 0;
  const int n = SSL_read(ssl_, to.data(), static_cast<int>(to.size()));
  if (n > 0) return {Io::kDone, static_cast<std::size_t>(n)};
  return explain(n);
}

IoResult TlsTransport::write(ByteSpan from) {
  if (broken_) return {Io::kFailed, 0};
  ERR_clear_error();
  errno = 0;
  const int n = SSL_write(ssl_, from.data(), static_cast<int>(from.size()));
  if (n > 0) return {Io::kDone, static_cast<std::size_t>(n)};
  return explain(n);
}

void TlsTransport::shutdown() {
  if (!broken_ && SSL_is_init_finished(ssl_) == 1) {
    ERR_clear_error();
    SSL_shutdown(ssl_);
    ERR_clear_error();
  }
  ::shutdown(fd_, SHUT_WR);
}

}  // namespace rexec::net
