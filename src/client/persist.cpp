#include "src/client/persist.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

extern "C" char** environ;

namespace rexec::client {
namespace {

constexpr char kReady = 'R';  // the keeper's first byte: what follows comes from the controller
constexpr Millis kBorrowLimit{2'000};

// A path through the directory's descriptor, because sun_path holds 108 bytes.
bool socket_address(int directory, sockaddr_un& address) {
  address.sun_family = AF_UNIX;
  const std::string path = "/proc/self/fd/" + std::to_string(directory) + "/persist.sock";
  if (path.size() >= sizeof address.sun_path) return false;
  path.copy(address.sun_path, path.size());
  return true;
}

// Connected, and the word said.
int connect_socket(const std::string& context_directory, char word) {
  const int directory = ::open(context_directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return -1;
  sockaddr_un address{};
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool ok = fd >= 0 && socket_address(directory, address) &&
                  ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(directory);
  if (ok && ::send(fd, &word, 1, MSG_NOSIGNAL) == 1) return fd;
  if (fd >= 0) ::close(fd);
  return -1;
}

}  // namespace

bool persist_wanted(const ContextEntry& context) {
  if (context.persist != Persist::kAuto) return context.persist == Persist::kOn;
  return std::getenv("CI") == nullptr && ::isatty(STDERR_FILENO) == 1;
}

net::Task<std::unique_ptr<net::Transport>> borrow(std::string context_directory) {
  const int fd = connect_socket(context_directory, kBorrow);
  if (fd < 0) co_return nullptr;
  auto transport = std::make_unique<net::PlainTransport>(fd);
  const auto executor = co_await asio::this_coro::executor;
  asio::posix::stream_descriptor descriptor(executor, fd);
  net::Timer deadline(executor);
  deadline.arm(kBorrowLimit, [&] { descriptor.cancel(); });
  asio::error_code error;
  co_await descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                                 asio::redirect_error(asio::use_awaitable, error));
  deadline.cancel();
  descriptor.release();
  std::uint8_t first = 0;
  const net::IoResult got =
      error ? net::IoResult{net::Io::kFailed, 0} : transport->read({&first, 1});
  if (got.status != net::Io::kDone || first != kReady) co_return nullptr;
  co_return std::move(transport);
}

void start_keeper(const ConnectOptions& options) {
  const pid_t child = ::fork();
  if (child != 0)
    return;  // the grandchild is init's; the child below is reaped by nobody but lives a moment
             // only
  ::setsid();
  if (::fork() != 0) ::_exit(0);
  const int null = ::open("/dev/null", O_RDWR);
  for (int fd = 0; fd <= 2; ++fd) ::dup2(null, fd);
  ::close_range(3, ~0U, 0);
  static_cast<void>(!::chdir("/"));
  const char* arguments[8] = {"rexec", "__persist", "--context", options.context.c_str()};
  if (!options.config_file.empty()) {
    arguments[4] = "--config";
    arguments[5] = options.config_file.c_str();
  }
  ::execve("/proc/self/exe", const_cast<char**>(arguments), environ);
  ::_exit(127);
}

void stop_keeper(const std::string& context_directory) {
  const int fd = connect_socket(context_directory, kQuit);
  if (fd >= 0) ::close(fd);
}

}  // namespace rexec::client
