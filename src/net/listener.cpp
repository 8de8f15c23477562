#include "src/net/listener.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "src/base/bytes.hpp"
#include "src/base/log.hpp"

namespace rexec::net {
namespace {

constexpr std::uint32_t kMaxClientHello = 16 << 10;

// Descriptors that the port leaves: for the store's files, a backup, the local socket.
constexpr int kOwnFiles = 16;
// And that it leaves to those who are known while a stranger can be shed for them.
constexpr int kReserve = 32;
constexpr Millis kRetry{200};
constexpr Nanos kTellAgain = std::chrono::seconds(10);

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

std::size_t descriptor_limit() {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  return std::min<rlim_t>(files.rlim_cur, 1 << 30);
}

StrangerLimits limits_of_process() { return stranger_limits(descriptor_limit()); }

// Until its first bytes are those of a TLS client a stranger costs this and a socket.
struct Listener::Pending {
  Pending(asio::io_context& context, int socket, std::string from)
      : fd(socket), source(std::move(from)), descriptor(context.get_executor(), socket) {}
  ~Pending() {
    if (descriptor.is_open()) descriptor.release();
    if (!transport && fd >= 0) ::close(fd);
  }
  int fd;  // the transport's once there is one
  std::unique_ptr<TlsTransport> transport;
  std::string source;
  BorrowedDescriptor descriptor;
  std::shared_ptr<Strangers::Place> place;
  bool gone = false;
};

Listener::Listener(asio::io_context& context, TlsContext& tls, LimitsNow limits,
                   OnConnection on_connection)
    : context_(context),
      tls_(tls),
      limits_(std::move(limits)),
      on_connection_(std::move(on_connection)),
      acceptor_(context),
      retry_(context.get_executor()),
      deadline_(context.get_executor()) {}

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
  deadline_.cancel();
  while (!pending_.empty()) drop(std::shared_ptr<Pending>(*pending_.begin()));
}

void Listener::accept_next() {
  acceptor_.async_accept([this, alive = std::weak_ptr(alive_)](const asio::error_code& error,
                                                               asio::ip::tcp::socket socket) {
    if (alive.expired() || !acceptor_.is_open()) return;
    if (!error) {
      begin(std::move(socket));
      return accept_next();
    }
    cannot_accept(error);
  });
}

void Listener::tell(const std::string& why) {
  const BootTime now = BootClock::now();
  if (told_ != BootTime{} && now < told_ + kTellAgain) return;
  told_ = now;
  log_warn("cannot accept a connection",
           {{"why", why}, {"strangers", std::to_string(strangers_.size())}});
}

// Out of descriptors or memory, most likely: the oldest stranger gives way at once. Without one
// what is there goes on, and the next try comes when something may have been freed.
void Listener::cannot_accept(const asio::error_code& error) {
  tell(error.message());
  // A shed descriptor is closed once the reactor has let go of it, which is before this comes.
  retry_.arm(strangers_.shed_oldest() ? Millis{0} : kRetry, [this] { accept_next(); });
}

// The kernel gives the lowest number that is free: so many are in use.
bool Listener::has_room(int fd) {
  const auto limit = static_cast<int>(descriptor_limit());
  if (fd >= limit - kReserve) strangers_.shed_oldest();
  if (fd < limit - kOwnFiles) return true;
  tell("all of " + std::to_string(limit) + " descriptors are in use (RLIMIT_NOFILE)");
  return false;
}

void Listener::arm_deadline() {
  if (deadline_armed_) return;
  const auto oldest = strangers_.oldest();
  if (!oldest) return;
  deadline_armed_ = true;
  const Millis deadline = limits_().deadline;
  const auto wait = std::chrono::ceil<Millis>(*oldest + deadline - BootClock::now());
  deadline_.arm(std::max(Millis{1}, wait), [this, deadline] {
    deadline_armed_ = false;
    strangers_.shed_until(BootClock::now() - deadline);
    arm_deadline();
  });
}

void Listener::begin(asio::ip::tcp::socket socket) {
  asio::error_code error;
  const auto remote = socket.remote_endpoint(error);
  if (error || !has_room(socket.native_handle())) return;
  auto place = strangers_.admit(source_key(remote.address()), BootClock::now(), limits_());
  const int fd = socket.release(error);
  if (error) return;
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  auto pending = std::make_shared<Pending>(context_, fd, remote.address().to_string());
  pending_.insert(pending);
  pending->place = std::move(place);
  pending->place->on_shed([this, weak = std::weak_ptr(pending)] {
    if (const auto held = weak.lock()) drop(held);
  });
  arm_deadline();
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
  Arrival arrival{std::move(pending->transport), pending->source, std::move(pending->place)};
  pending->fd = -1;
  drop(pending);
  on_connection_(std::move(arrival));
}

// Its descriptor is closed with its last reference: at once, or when the reactor has let go of it.
void Listener::drop(const std::shared_ptr<Pending>& pending) {
  pending->gone = true;
  if (pending->descriptor.is_open()) pending->descriptor.release();
  pending_.erase(pending);
}

}  // namespace rexec::net
