// TLS 1.3 on a socket: contexts for the three parties and a Transport over one connection. Which
// certificates are good is decided here (chain to the cluster's CA, one rexec URI, P-256); what
// their holder may do is not. Expiry and revocation are left to the session, because an expired
// node may still renew itself; of a resumed session the peer is known as well, and checked by its
// dates: by the certificate in the server's ticket, by the client's own note of it. Only tls*.cpp
// include <openssl/ssl.h>.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "src/net/tls_output.hpp"
#include "src/net/transport.hpp"
#include "src/pki/certificate.hpp"
#include "src/pki/digest.hpp"

typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;

namespace rexec::net {

// DER of the CA certificate, the own certificate and the own private key (PKCS#8). For a stranger
// the last two are empty.
struct Credentials {
  std::string ca;
  std::string certificate;
  std::string key;
};

// kWhenNeeded: a session that resumes from a ticket never parses them; damage then shows in the
// handshake, as kNotSignedIn.
enum class Load { kNow, kWhenNeeded };

class TlsTransport;
struct TlsNotes;    // tls_state.hpp
struct TlsFailure;  // tls_failure.hpp
struct TlsMoment;

class TlsContext {
 public:
  struct State;  // tls_state.hpp
  ~TlsContext();
  TlsContext(TlsContext&&) noexcept;
  TlsContext& operator=(TlsContext&&) noexcept;

  // Peers without a certificate are let in as strangers; one with a wrong certificate fails the
  // handshake.
  static Result<TlsContext> server(const Credentials& credentials);
  // The peer must be the controller of the CA's cluster.
  static Result<TlsContext> client(const Credentials& credentials, Load load = Load::kNow);
  // For join and login: any chain whose CA key has this SHA-256 (32 raw bytes); the CA is then
  // peer_ca_der().
  static Result<TlsContext> stranger(const std::string& ca_pin);

  // What the own certificate claims; nothing for a stranger, an unreadable name, or before it was
  // needed.
  const std::optional<pki::Identity>& own() const;

  // What connect() resumes a session from (tls_ticket.hpp): the newest is handed to `keep`, on the
  // client's side.
  void on_ticket(std::function<void(std::string)> keep);

 private:
  friend class TlsTransport;
  explicit TlsContext(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class TlsTransport final : public Transport {
 public:
  // Owns `fd`, a connected TCP socket; made non-blocking here. The context outlives the handshake;
  // tickets that come when it is gone are dropped.
  // `ticket` may be empty; one that the server no longer takes costs nothing but the full
  // handshake.
  static std::unique_ptr<TlsTransport> accept(TlsContext& context, int fd);
  static std::unique_ptr<TlsTransport> connect(TlsContext& context, int fd,
                                               const std::string& ticket = {});
  ~TlsTransport() override;

  // To be repeated after readiness until kDone or kFailed.
  Io handshake();
  // The peer's verified certificate, or nothing for a stranger.
  const std::optional<pki::Identity>& peer() const { return peer_; }
  // Why the peer's certificate was refused here, after handshake() has failed. kExpired names both
  // clocks; kPinMismatch is a stranger's.
  const std::optional<Error>& refusal() const;
  // DER of the CA that the pin named (stranger side), after the handshake.
  std::string peer_ca_der() const;
  // 32 bytes bound to this connection, for the enrolment proof (RFC 8446 section 7.5).
  std::string enrol_exporter() const;
  bool resumed() const;

  IoResult read(MutableBytes to) override;
  IoResult write(ByteSpan from) override;
  IoResult gather(ByteSpan from) override;
  Io flush() override;
  void shutdown() override;
  int fd() const override { return fd_; }
  const std::string& failure() const override { return failure_; }
  Failure failure_kind() const override { return failure_kind_; }

 private:
  TlsTransport(SSL* ssl, int fd);
  IoResult explain(int result);
  IoResult put(ByteSpan from);
  Io fail_with(std::string why);
  TlsMoment moment() const;
  void note(TlsFailure failure);
  void offer(const std::string& ticket, const pki::Digest& made_with);
  bool read_peer();
  Result<pki::Identity> identify_peer() const;

  SSL* ssl_;
  int fd_;
  TlsOutput output_;
  bool greeted_ = false;
  bool broken_ = false;
  std::optional<pki::Identity> peer_;
  std::unique_ptr<TlsNotes> notes_;
  std::string failure_;
  Failure failure_kind_ = Failure::kCut;
};

}  // namespace rexec::net
