// The keeper's process: one warm connection in reserve, a pair of copiers for each that is lent.
// See persist.hpp.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <deque>
#include <list>

#include "src/client/persist.hpp"
#include "src/os/privilege.hpp"
#include "src/wire/session.hpp"

namespace rexec::client {
namespace {

constexpr std::size_t kPiece = 64 << 10;
// The controller ends what has not greeted it for wire::kReadyDeadline; until then there is time to
// use one that was lent at the last moment.
constexpr Millis kFresh{10 * 60'000};
static_assert(kFresh < wire::kReadyDeadline);

enum class End { kNoMore, kNotTaken };

// Copies one direction until its source ends; at most one piece is held.
class Copier {
 public:
  Copier(const net::Executor& executor, net::Transport& from, net::Transport& to,
         std::function<void(End)> ended)
      : from_(from),
        to_(to),
        wait_from_(executor, ::dup(from.fd())),
        wait_to_(executor, ::dup(to.fd())),
        ended_(std::move(ended)) {}
  ~Copier() { *alive_ = false; }
  Copier(const Copier&) = delete;
  Copier& operator=(const Copier&) = delete;

  void run() {
    while (true) {
      if (held_.empty()) {
        held_ = Buffer(kPiece);
        const net::IoResult got = from_.read(held_.writable());
        held_.truncate(got.bytes);
        if (got.status == net::Io::kWantRead || got.status == net::Io::kWantWrite)
          return wait(wait_from_, got.status);
        if (got.status != net::Io::kDone) return ended_(End::kNoMore);
      }
      const net::IoResult put = to_.write(held_);
      if (put.status == net::Io::kWantRead || put.status == net::Io::kWantWrite)
        return wait(wait_to_, put.status);
      if (put.status != net::Io::kDone) return ended_(End::kNotTaken);
      held_.consume(put.bytes);
      if (held_.empty()) held_ = Buffer();
    }
  }

 private:
  void wait(asio::posix::stream_descriptor& on, net::Io status) {
    if (status == net::Io::kWantRead && held_.size() == 0)
      held_ = Buffer();  // an idle copier holds nothing
    using Descriptor = asio::posix::stream_descriptor;
    on.async_wait(status == net::Io::kWantRead ? Descriptor::wait_read : Descriptor::wait_write,
                  [this, alive = alive_](const asio::error_code& error) {
                    if (!error && *alive) run();
                  });
  }

  net::Transport& from_;
  net::Transport& to_;
  asio::posix::stream_descriptor wait_from_;
  asio::posix::stream_descriptor wait_to_;
  std::function<void(End)> ended_;
  Buffer held_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

struct Loan {
  std::unique_ptr<net::Transport> client;
  std::unique_ptr<net::Transport> controller;
  std::unique_ptr<Copier> up;
  std::unique_ptr<Copier> down;
};

class Keeper {
 public:
  Keeper(asio::io_context& context, ConnectOptions options, Connector connector, int listener,
         Millis idle)
      : context_(context),
        options_(std::move(options)),
        connector_(std::move(connector)),
        listener_(context, listener),
        beat_(context.get_executor()),
        idle_timer_(context.get_executor()),
        idle_(idle) {}

  void start() {
    accept();
    refill();
    rest();
  }

 private:
  void rest() {
    idle_timer_.arm(idle_, [this] {
      if (loans_.empty())
        context_.stop();
      else
        rest();
    });
  }
  void accept() {
    listener_.async_wait(
        asio::posix::stream_descriptor::wait_read, [this](const asio::error_code& error) {
          if (error) return;
          const int fd = ::accept4(listener_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC);
          ucred peer{};
          socklen_t size = sizeof peer;
          if (fd >= 0 && ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
              peer.uid == ::getuid())
            take(fd);
          else if (fd >= 0)
            ::close(fd);
          accept();
        });
  }
  // The first byte says what is wanted; it comes with the connection, but perhaps a moment later.
  void take(int fd) {
    auto asked = std::make_shared<asio::posix::stream_descriptor>(context_, fd);
    asked->async_wait(asio::posix::stream_descriptor::wait_read,
                      [this, asked](const asio::error_code& error) {
                        char word = 0;
                        if (error || ::recv(asked->native_handle(), &word, 1, MSG_DONTWAIT) != 1)
                          return;
                        if (word == kQuit) return context_.stop();
                        if (word == kBorrow) admit(asked->release());
                      });
  }
  void admit(int fd) {
    rest();
    if (waiting_.size() >= 64) {
      ::close(fd);
      return;
    }
    waiting_.push_back(std::make_unique<net::PlainTransport>(fd));
    serve();
  }
  void serve() {
    if (take_new_certificate()) warm_.reset();  // it speaks for the old one
    drain_pongs();
    while (!waiting_.empty() && warm_ && pongs_due_ == 0) {
      lend(std::move(waiting_.front()), std::move(warm_));
      waiting_.pop_front();
    }
    if (!warm_)
      refill();
    else if (!waiting_.empty())
      watch_warm();
  }
  void lend(std::unique_ptr<net::Transport> client, std::unique_ptr<net::Transport> controller) {
    const auto at = loans_.emplace(loans_.end());
    at->client = std::move(client);
    at->controller = std::move(controller);
    const std::uint8_t ready = 'R';
    if (at->client->write({&ready, 1}).status != net::Io::kDone) {
      loans_.erase(at);
      return;
    }
    // Both directions end together: a half-closed session is of no use to either side.
    const auto over = [this, at, done = std::make_shared<bool>(false)](End) {
      if (std::exchange(*done, true)) return;
      at->client->shutdown();
      at->controller->shutdown();
      asio::post(context_, [this, at] { loans_.erase(at); });
    };
    at->up = std::make_unique<Copier>(context_.get_executor(), *at->client, *at->controller, over);
    // A client that takes nothing more has gone; its last words are still to be sent on.
    const auto down_is_over = [over](End end) {
      if (end == End::kNoMore) over(end);
    };
    at->down = std::make_unique<Copier>(context_.get_executor(), *at->controller, *at->client,
                                        down_is_over);
    at->up->run();
    at->down->run();
  }
  void refill() {
    if (dialling_) return;
    dialling_ = true;
    take_new_certificate();
    net::spawn(context_.get_executor(), dial());
  }
  // A client has renewed the certificate, or signed in anew: perhaps as another user.
  bool take_new_certificate() {
    struct stat info{};
    const std::string path = connector_.context_directory() + "/cert.der";
    const Version now = ::stat(path.c_str(), &info) == 0
                            ? Version{info.st_ino, info.st_mtim.tv_sec, info.st_mtim.tv_nsec}
                            : Version{};
    if (now == certificate_) return false;
    certificate_ = now;
    if (auto fresh = Connector::load(options_)) connector_ = std::move(*fresh);
    return true;
  }
  net::Task<> dial() {
    const Version made_with = certificate_;
    auto transport = co_await connector_.dial_directly(net::Patience::kOneRound);
    dialling_ = false;
    if (take_new_certificate() || certificate_ != made_with) co_return refill();
    if (!transport) {
      waiting_
          .clear();  // closed without the first byte: the clients dial by themselves and learn why
      co_return;
    }
    warm_ = std::move(*transport);
    stale_at_ = BootClock::now() + kFresh;
    pongs_due_ = 0;
    pong_bytes_ = 0;
    beat();
    serve();
  }
  // An authenticated connection may wait before its HELLO as long as it is heard of.
  void beat() {
    beat_.arm(Millis{4'000}, [this] {
      if (!warm_) return;
      drain_pongs();
      if (BootClock::now() >= stale_at_) warm_.reset();
      if (!warm_) return refill();
      const auto ping = wire::make_frame(wire::FrameType::kPing, 0, as_bytes("keepwarm"));
      if (warm_->write(ping.bytes()).status != net::Io::kDone) {
        warm_.reset();
        return refill();
      }
      ++pongs_due_;
      beat();
    });
  }
  void drain_pongs() {
    std::uint8_t scratch[256];
    while (warm_) {
      const net::IoResult got = warm_->read(scratch);
      if (got.status == net::Io::kWantRead || got.status == net::Io::kWantWrite) return;
      if (got.status != net::Io::kDone) {
        warm_.reset();
        return;
      }
      pong_bytes_ += got.bytes;
      while (pong_bytes_ >= wire::kHeaderSize + 8 && pongs_due_ > 0) {
        pong_bytes_ -= wire::kHeaderSize + 8;
        --pongs_due_;
      }
    }
  }
  void watch_warm() {
    auto watch = std::make_shared<asio::posix::stream_descriptor>(context_, ::dup(warm_->fd()));
    watch->async_wait(asio::posix::stream_descriptor::wait_read,
                      [this, watch](const asio::error_code& error) {
                        if (!error) serve();
                      });
  }

  asio::io_context& context_;
  ConnectOptions options_;
  Connector connector_;
  struct Version {
    ino_t inode = 0;
    time_t seconds = 0;
    long nanos = 0;
    bool operator==(const Version&) const = default;
  };
  Version certificate_;  // the file's, when the connector read it
  asio::posix::stream_descriptor listener_;
  net::Timer beat_;
  net::Timer idle_timer_;
  Millis idle_;
  std::unique_ptr<net::Transport> warm_;
  BootTime stale_at_{};
  std::size_t pongs_due_ = 0;
  std::size_t pong_bytes_ = 0;
  std::deque<std::unique_ptr<net::Transport>> waiting_;
  std::list<Loan> loans_;
  bool dialling_ = false;
};

// The socket, and the lock that says this context has its keeper: -1 when another one has it.
int listen_in(const std::string& context_directory) {
  const int directory = ::open(context_directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return -1;
  const int lock = ::openat(directory, "persist.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0 || ::flock(lock, LOCK_EX | LOCK_NB) != 0) return -1;  // held until the process ends
  ::unlinkat(directory, "persist.sock", 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = "/proc/self/fd/" + std::to_string(directory) + "/persist.sock";
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  ::umask(077);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd, 64) != 0)
    return -1;
  return fd;
}

}  // namespace

int run_keeper(const ConnectOptions& options, Millis idle) {
  os::hide_memory();
  ::signal(SIGPIPE, SIG_IGN);
  auto connector = Connector::load(options);
  if (!connector) return 1;
  const std::string directory = connector->context_directory();
  const int listener = listen_in(directory);
  if (listener < 0) return 0;
  asio::io_context context(1);
  {
    Keeper keeper(context, options, std::move(*connector), listener, idle);
    keeper.start();
    context.run();
  }
  ::unlink((directory + "/persist.sock").c_str());
  return 0;
}

}  // namespace rexec::client
