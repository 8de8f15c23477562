#include "src/net/listener.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "src/base/bytes.hpp"
#include "src/base/log.hpp"

namespace rexec::net {
namespace {

constexpr std::uint32_t kMaxClientHello = 16 << 10;

enum class FirstBytes { kTls, kMore, kForeign };

// A TLS record's header and that of the handshake message in it.
constexpr int kLookedAt = 9;

// Looks without taking: a TLS record that carries a ClientHello of bounded length.
FirstBytes peek(int fd) {
  std::uint8_t head[kLookedAt];
  const ssize_t n = ::recv(fd, head, sizeof head, MSG_PEEK | MSG_DONTWAIT);
  if (n < 0) return errno == EAGAIN || errno == EINTR ? FirstBytes::kMore : FirstBytes::kForeign;
  if (n == 0) return FirstBytes::kForeign;
  if (head[0] != 22 || (n > 1 && head[1] != 3)) return FirstBytes::kForeign;
  if (n < kLookedAt) return FirstBytes::kMore;
  const std::uint32_t length = load_be<std::uint32_t>(head + 5) & 0xFFFFFF;
  return head[5] == 1 && length <= kMaxClientHello ? FirstBytes::kTls : FirstBytes::kForeign;
}

// A socket with fewer bytes than these is not readable: who dribbles them does not wake us.
void set_wake_threshold(int fd, int bytes) {
  ::setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes);
}

std::string source_key(const asio::ip::address& address) {
  if (address.is_v4()) return address.to_string();
  const auto v6 = address.to_v6();
  if (v6.is_v4_mapped()) return asio::ip::make_address_v4(asio::ip::v4_mapped, v6).to_string();
  const auto bytes = v6.to_bytes();
  return to_hex({bytes.data(), 8});
}

}  // namespace

// Until its first bytes are those of a TLS client a stranger costs this and a socket.
struct Listener::Pending {
  Pending(asio::io_context& context, int socket, std::string from, std::string group)
      : fd(socket),
        source(std::move(from)),
        key(std::move(group)),
        descriptor(context.get_executor(), socket),
        deadline(context.get_executor()) {}
  ~Pending() {
    if (descriptor.is_open()) descriptor.release();
    if (!transport && fd >= 0) ::close(fd);
  }
  int fd;  // the transport's once there is one
  std::unique_ptr<TlsTransport> transport;
  std::string source;
  std::string key;
  BorrowedDescriptor descriptor;
  Timer deadline;
  bool gone = false;
};

Listener::Listener(asio::io_context& context, TlsContext& tls, HandshakeLimits limits,
                   OnConnection on_connection)
    : context_(context),
      tls_(tls),
      limits_(limits),
      on_connection_(std::move(on_connection)),
      acceptor_(context),
      retry_(context.get_executor()) {}

Listener::~Listener() { stop(); }

Result<void> Listener::listen(const std::string& address) {
  auto parts = split_address(address);
  if (!parts) return std::unexpected(parts.error());
  if (parts->second == 512)
    return fail(Code::kUsage, "port 512 belongs to the old rexecd and is never used",
                "choose another port");
  asio::error_code error;
  const auto host = asio::ip::make_address(parts->first, error);
  if (error)
    return fail(Code::kUsage, "listen address \"" + parts->first + "\" is not a numeric address",
                "for instance 0.0.0.0:7443");
  const asio::ip::tcp::endpoint endpoint(host, parts->second);
  const auto attempt = [&](auto step) {
    if (!error) step();
  };
  attempt([&] { acceptor_.open(endpoint.protocol(), error); });
  attempt([&] { acceptor_.set_option(asio::socket_base::reuse_address(true), error); });
  attempt([&] { acceptor_.bind(endpoint, error); });
  attempt([&] { acceptor_.listen(4096, error); });
  if (error)
    return fail(Code::kIo, "cannot listen on " + address + ": " + error.message(),
                "is another controller running there?");
  ::fcntl(acceptor_.native_handle(), F_SETFD, FD_CLOEXEC);
  accept_next();
  return {};
}

std::string Listener::address() const {
  const auto endpoint = acceptor_.local_endpoint();
  const std::string host = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + host + "]" : host) + ":" +
         std::to_string(endpoint.port());
}

void Listener::stop() {
  asio::error_code ignored;
  acceptor_.close(ignored);
  retry_.cancel();
  while (!pending_.empty()) drop(std::shared_ptr<Pending>(pending_.front()));
}

void Listener::accept_next() {
  acceptor_.async_accept([this, alive = std::weak_ptr(alive_)](const asio::error_code& error,
                                                               asio::ip::tcp::socket socket) {
    if (alive.expired() || !acceptor_.is_open()) return;
    if (!error) {
      begin(std::move(socket));
      return accept_next();
    }
    // Out of descriptors or memory: what is there goes on, and the next try comes when something
    // may have been freed.
    log_warn("cannot accept a connection", {{"why", error.message()}});
    retry_.arm(Millis{200}, [this] { accept_next(); });
  });
}

// The oldest of the same source, or of all, gives way: a genuine handshake is over in milliseconds.
void Listener::make_room(const std::string& source) {
  const auto of_source = std::count_if(pending_.begin(), pending_.end(),
                                       [&](const auto& p) { return p->key == source; });
  if (static_cast<std::size_t>(of_source) >= limits_.per_source) {
    const auto oldest = std::find_if(pending_.begin(), pending_.end(),
                                     [&](const auto& p) { return p->key == source; });
    drop(std::shared_ptr<Pending>(*oldest));
  } else if (pending_.size() >= limits_.in_flight) {
    drop(std::shared_ptr<Pending>(pending_.front()));
  }
}

void Listener::begin(asio::ip::tcp::socket socket) {
  asio::error_code error;
  const auto remote = socket.remote_endpoint(error);
  if (error) return;
  const std::string key = source_key(remote.address());
  make_room(key);
  const int fd = socket.release(error);
  if (error) return;
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  auto pending = std::make_shared<Pending>(context_, fd, remote.address().to_string(), key);
  pending_.push_back(pending);
  pending->deadline.arm(limits_.deadline, [this, weak = std::weak_ptr(pending)] {
    if (const auto held = weak.lock()) drop(held);
  });
  set_wake_threshold(fd, kLookedAt);
  look(pending);
}

void Listener::await(const std::shared_ptr<Pending>& pending, Io what_for) {
  using Descriptor = asio::posix::stream_descriptor;
  pending->descriptor.async_wait(
      what_for == Io::kWantWrite ? Descriptor::wait_write : Descriptor::wait_read,
      [this, pending](const asio::error_code& error) {
        if (error || pending->gone) return;
        if (pending->transport) {
          shake_hands(pending);
        } else {
          look(pending);
        }
      });
}

void Listener::look(const std::shared_ptr<Pending>& pending) {
  const FirstBytes first = peek(pending->fd);
  if (first == FirstBytes::kForeign) return drop(pending);
  if (first == FirstBytes::kMore) return await(pending, Io::kWantRead);
  set_wake_threshold(pending->fd, 1);
  pending->transport = TlsTransport::accept(tls_, pending->fd);
  shake_hands(pending);
}

void Listener::shake_hands(const std::shared_ptr<Pending>& pending) {
  const Io status = pending->transport->handshake();
  if (status == Io::kWantRead || status == Io::kWantWrite) return await(pending, status);
  if (status != Io::kDone) {
    log_debug("handshake failed",
              {{"source", pending->source}, {"why", pending->transport->failure()}});
    return drop(pending);
  }
  auto transport = std::move(pending->transport);
  pending->fd = -1;
  drop(pending);
  on_connection_(std::move(transport), pending->source);
}

// Its descriptor is closed with its last reference: at once, or when the reactor has let go of it.
void Listener::drop(const std::shared_ptr<Pending>& pending) {
  pending->gone = true;
  pending->deadline.cancel();
  if (pending->descriptor.is_open()) pending->descriptor.release();
  pending_.remove(pending);
}

}  // namespace rexec::net
