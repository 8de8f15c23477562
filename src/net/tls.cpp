#include "src/net/tls.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "src/base/check.hpp"
#include "src/net/tls_failure.hpp"
#include "src/net/tls_state.hpp"
#include "src/net/tls_ticket.hpp"

namespace rexec::net {
namespace {

// OpenSSL cuts a flight into records of this size; a shorter record is the last one of its flight.
constexpr std::size_t kFullRecord = SSL3_RT_MAX_PLAIN_LENGTH;

}  // namespace

TlsTransport::TlsTransport(SSL* ssl, int fd)
    : ssl_(ssl), fd_(fd), output_(fd), notes_(std::make_unique<TlsNotes>()) {
  const int on = 1;
  const int lowat = 128 << 10;
  ::fcntl(fd_, F_SETFL, ::fcntl(fd_, F_GETFL) | O_NONBLOCK);
  ::fcntl(fd_, F_SETFD, FD_CLOEXEC);
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof lowat);
  SSL_set0_rbio(ssl_, BIO_new_socket(fd_, BIO_NOCLOSE));
  SSL_set0_wbio(ssl_, output_.make_bio());
  SSL_set_app_data(ssl_, notes_.get());
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
  transport->offer(ticket, context.state_->made_with);
  return transport;
}

void TlsTransport::offer(const std::string& bytes, const pki::Digest& made_with) {
  const auto ticket = decode_ticket(bytes);
  if (!ticket || ticket->made_with != made_with) return;
  auto at = reinterpret_cast<const unsigned char*>(ticket->session.data());
  SSL_SESSION* session = d2i_SSL_SESSION(nullptr, &at, static_cast<long>(ticket->session.size()));
  if (session != nullptr && SSL_set_session(ssl_, session) == 1) notes_->peer = ticket->peer;
  SSL_SESSION_free(session);
  ERR_clear_error();
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
      note(failure_of_errno(errno, moment()));
      break;
    default:
      note(failure_of_openssl(moment()));
      if (refusal()) note({refusal()->message, Failure::kOther});
  }
  broken_ = true;
  output_.flush();  // the alert that says why to the peer
  ERR_clear_error();
  return {Io::kFailed, 0};
}

Io TlsTransport::handshake() {
  ERR_clear_error();
  errno = 0;
  const int done = SSL_do_handshake(ssl_);
  if (done != 1) {
    const Io status = explain(done).status;
    if (status == Io::kEof) note(failure_of_errno(0, moment()));
    return status == Io::kEof ? Io::kFailed : status;
  }
  greeted_ = true;
  return read_peer() ? Io::kDone : fail_with(std::move(failure_));
}

bool TlsTransport::read_peer() {
  const unsigned char* alpn = nullptr;
  unsigned alpn_size = 0;
  SSL_get0_alpn_selected(ssl_, &alpn, &alpn_size);
  if (alpn_size != sizeof kAlpn - 1) {
    failure_ = "the peer does not speak rexec/1";
    return false;
  }
  if (SSL_is_server(ssl_) == 1 && SSL_get0_peer_certificate(ssl_) == nullptr) return true;
  auto identity = identify_peer();
  if (identity && SSL_is_server(ssl_) == 0 && identity->role != pki::Role::kController)
    identity = fail(Code::kDenied, "the peer's certificate is not a controller's");
  if (!identity) {
    notes_->refusal = identity.error();
    failure_ = identity.error().message;
    return false;
  }
  peer_ = *identity;
  notes_->peer = *identity;
  return true;
}

// A resumed session has skipped the check that a full handshake makes.
Result<pki::Identity> TlsTransport::identify_peer() const {
  const TlsContext::State* state = TlsContext::State::of(ssl_);
  check(state != nullptr, "the context outlives the handshake");
  if (resumed() && !state->is_server) {
    check(notes_->peer.has_value(), "only a ticket resumes a session");
    const auto valid = pki::check_validity(*notes_->peer, wall_now(), state->accept);
    if (!valid) return std::unexpected(valid.error());
    return *notes_->peer;
  }
  const X509* certificate = SSL_get0_peer_certificate(ssl_);
  if (certificate == nullptr) return fail(Code::kDenied, "the peer has no certificate");
  if (resumed() && state->ca)
    return pki::verify_leaf(certificate, state->ca.get(), wall_now(), state->accept);
  return pki::parse_identity(certificate);
}

std::string TlsTransport::peer_ca_der() const {
  const TlsContext::State* state = TlsContext::State::of(ssl_);
  if (state == nullptr) return {};
  STACK_OF(X509)* chain = SSL_get_peer_cert_chain(ssl_);
  for (int i = 0; chain != nullptr && i < sk_X509_num(chain); ++i) {
    const X509* candidate = sk_X509_value(chain, i);
    if (as_text(pki::spki_hash(candidate)) == state->pin) return pki::encode_certificate(candidate);
  }
  return {};
}

std::string TlsTransport::enrol_exporter() const {
  constexpr std::string_view kLabel = "EXPORTER-rexec-enrol";
  std::string out(32, '\0');
  const int ok =
      SSL_export_keying_material(ssl_, reinterpret_cast<unsigned char*>(out.data()), out.size(),
                                 kLabel.data(), kLabel.size(), nullptr, 0, 0);
  return ok == 1 ? out : std::string();
}

const std::optional<Error>& TlsTransport::refusal() const { return notes_->refusal; }

bool TlsTransport::resumed() const { return SSL_session_reused(ssl_) == 1; }

IoResult TlsTransport::read(MutableBytes to) {
  if (broken_) return {Io::kFailed, 0};
  ERR_clear_error();
  errno = 0;
  const int n = SSL_read(ssl_, to.data(), static_cast<int>(to.size()));
  if (refusal()) return {fail_with(refusal()->message), 0};
  if (n <= 0) return explain(n);
  const auto size = static_cast<std::size_t>(n);
  return {Io::kDone, size, size < kFullRecord && SSL_has_pending(ssl_) == 0};
}

IoResult TlsTransport::write(ByteSpan from) {
  const Io before = flush();
  return before == Io::kDone ? put(from) : IoResult{before, 0};
}

IoResult TlsTransport::gather(ByteSpan from) {
  output_.gather();
  return put(from);
}

Io TlsTransport::flush() {
  if (broken_) return Io::kFailed;
  const Io status = output_.flush();
  if (status == Io::kFailed) {
    note(failure_of_errno(errno, moment()));
    broken_ = true;
  }
  return status;
}

// A dialler's peer is the controller, as far as is known before its certificate is.
TlsMoment TlsTransport::moment() const {
  return {SSL_is_server(ssl_) == 1 ? "the other side" : "the controller", !greeted_};
}

void TlsTransport::note(TlsFailure failure) {
  failure_ = std::move(failure.why);
  failure_kind_ = failure.kind;
}

Io TlsTransport::fail_with(std::string why) {
  note({std::move(why), Failure::kOther});
  broken_ = true;
  return Io::kFailed;
}

IoResult TlsTransport::put(ByteSpan from) {
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
    output_.flush();
    ERR_clear_error();
  }
  ::shutdown(fd_, SHUT_WR);
}

}  // namespace rexec::net
