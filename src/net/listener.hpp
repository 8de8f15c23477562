// The controller's port: accepts, looks at the first bytes before TLS may allocate for them, and
// hands over connections whose handshake is done. Who has not shown who he is has a place among the
// strangers (strangers.*), whoever serves him, until his descriptor is closed: so they are bounded,
// overall and per source, and each has one deadline. Descriptors are kept for those who are known,
// and some for our own files. Nothing is said to who does not speak TLS.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_set>

#include "src/net/address.hpp"
#include "src/net/strangers.hpp"
#include "src/net/task.hpp"
#include "src/net/tls.hpp"

namespace rexec::net {

// RLIMIT_NOFILE as it is now.
std::size_t descriptor_limit();
// stranger_limits() of that.
StrangerLimits limits_of_process();

// A connection whose handshake is done.
struct Arrival {
  std::unique_ptr<TlsTransport> transport;
  std::string source;  // the peer's numeric address
  // His place among the strangers: let go of it once his identity is accepted, else keep it as long
  // as the descriptor and close that when the place is shed.
  std::shared_ptr<Strangers::Place> place;
};

class Listener {
 public:
  using OnConnection = std::function<void(Arrival)>;
  // Asked at each accept: limits follow what the process may have at that moment.
  using LimitsNow = std::function<StrangerLimits()>;

  Listener(asio::io_context& context, TlsContext& tls, LimitsNow limits,
           OnConnection on_connection);
  ~Listener();
  // HOST:PORT with a numeric host; port 0 picks one. kIo when it is taken; port 512 is refused
  // (rexecd's, never ours).
  Result<void> listen(const std::string& address);
  // "127.0.0.1:7443" as bound.
  std::string address() const;
  void stop();
  std::size_t handshakes_in_flight() const { return pending_.size(); }
  // Those in a handshake, and those that are served without an identity.
  std::size_t strangers() const { return strangers_.size(); }

 private:
  struct Pending;
  void accept_next();
  void begin(asio::ip::tcp::socket socket);
  void look(const std::shared_ptr<Pending>& pending);
  void shake_hands(const std::shared_ptr<Pending>& pending);
  void await(const std::shared_ptr<Pending>& pending, Io what_for);
  void drop(const std::shared_ptr<Pending>& pending);
  void tell(const std::string& why);
  void cannot_accept(const asio::error_code& error);
  // False when not even a stranger could be shed for the descriptor that was accepted as `fd`.
  bool has_room(int fd);
  void arm_deadline();

  asio::io_context& context_;
  TlsContext& tls_;
  LimitsNow limits_;
  OnConnection on_connection_;
  asio::ip::tcp::acceptor acceptor_;
  Timer retry_;
  Timer deadline_;  // of the oldest stranger
  bool deadline_armed_ = false;
  BootTime told_{};  // when it was last logged that nobody can be accepted
  Strangers strangers_;
  std::unordered_set<std::shared_ptr<Pending>> pending_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace rexec::net
