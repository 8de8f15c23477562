// From a context's name to a session: credentials, the kept connection (persist) if there is one,
// else TLS with a kept session ticket. Used by every verb that talks to the controller.
#pragma once

#include <memory>
#include <string>

#include "src/client/remote.hpp"

namespace rexec::client {

struct ConnectOptions {
  std::string config_file;  // --config
  std::string context;      // --context
  Millis timeout{10'000};   // --connect-timeout
};

// Everything that is needed to dial again and again; loaded once.
class Connector {
 public:
  static Result<Connector> load(const ConnectOptions& options);
  ~Connector();
  Connector(Connector&&) noexcept;
  Connector& operator=(Connector&&) noexcept;

  // A transport that the controller's identity was checked on (or the kept connection's socket),
  // within --connect-timeout, or `most` if that is less.
  net::Task<Result<std::unique_ptr<net::Transport>>> dial(
      net::Patience patience = net::Patience::kAfterCut, Millis most = Millis::max());
  // The same, but always by TLS.
  net::Task<Result<std::unique_ptr<net::Transport>>> dial_directly(
      net::Patience patience = net::Patience::kAfterCut, Millis most = Millis::max());
  // Past half of its life the certificate is renewed on the session; a failure is left to the next
  // time.
  net::Task<> renew_if_due(Remote& remote);
  // HELLO for this client.
  wire::Map hello() const;
  const ContextEntry& context() const;
  const Paths& paths() const;
  std::string context_directory() const;

 private:
  struct State;
  explicit Connector(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace rexec::client
