// The controller's port: accepts, looks at the first bytes before TLS may allocate for them, bounds
// the handshakes in flight (overall and per source, the oldest gives way), and hands over
// connections whose handshake is done. A stranger costs at most one of these and no more than 5 s;
// nothing is said to who does not speak TLS.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>

#include "src/net/address.hpp"
#include "src/net/task.hpp"
#include "src/net/tls.hpp"

namespace rexec::net {

struct HandshakeLimits {
  std::size_t in_flight = 1024;
  std::size_t per_source = 512;  // an IPv4 address or an IPv6 /64
  Millis deadline{5'000};
};

class Listener {
 public:
  // `source` is the peer's numeric address.
  using OnConnection = std::function<void(std::unique_ptr<TlsTransport>, std::string source)>;

  Listener(asio::io_context& context, TlsContext& tls, HandshakeLimits limits,
           OnConnection on_connection);
  ~Listener();
  // HOST:PORT with a numeric host; port 0 picks one. kIo when it is taken; port 512 is refused
  // (rexecd's, never ours).
  Result<void> listen(const std::string& address);
  // "127.0.0.1:7443" as bound.
  std::string address() const;
  void stop();
  std::size_t handshakes_in_flight() const { return pending_.size(); }

 private:
  struct Pending;
  void accept_next();
  void begin(asio::ip::tcp::socket socket);
  void look(const std::shared_ptr<Pending>& pending);
  void shake_hands(const std::shared_ptr<Pending>& pending);
  void await(const std::shared_ptr<Pending>& pending, Io what_for);
  void drop(const std::shared_ptr<Pending>& pending);
  void make_room(const std::string& source);

  asio::io_context& context_;
  TlsContext& tls_;
  HandshakeLimits limits_;
  OnConnection on_connection_;
  asio::ip::tcp::acceptor acceptor_;
  Timer retry_;
  std::list<std::shared_ptr<Pending>> pending_;  // oldest first
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace rexec::net
