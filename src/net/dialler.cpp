#include "src/net/dialler.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>

#include "src/net/listener.hpp"
#include "src/net/tls_failure.hpp"

namespace rexec::net {
namespace {

constexpr Millis kPerAddress{2'000};
// A controller that starts again refuses for a while; it is not asked more often than this.
constexpr Millis kBetweenRounds{50};
// Handshakes cut short before it is believed that this will not change.
constexpr int kMostCuts = 10;

using Endpoints = std::vector<asio::ip::tcp::endpoint>;

// One name that is being looked up. getaddrinfo cannot be interrupted and may take minutes: it has
// a thread of its own, which whoever gives up leaves behind, with this.
struct Lookup {
  std::string host;
  std::string service;
  int finished = -1;  // an eventfd
  Endpoints found;

  Lookup(std::string host_name, std::uint16_t port)
      : host(std::move(host_name)),
        service(std::to_string(port)),
        finished(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~Lookup() {
    if (finished >= 0) ::close(finished);
  }
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;

  void run() {
    addrinfo wanted{};
    wanted.ai_socktype = SOCK_STREAM;
    wanted.ai_flags = AI_ADDRCONFIG;
    addrinfo* list = nullptr;
    if (::getaddrinfo(host.c_str(), service.c_str(), &wanted, &list) != 0) list = nullptr;
    for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
      asio::ip::tcp::endpoint& to = found.emplace_back();
      if (one->ai_addrlen > to.capacity()) {
        found.pop_back();
        continue;
      }
      std::memcpy(to.data(), one->ai_addr, one->ai_addrlen);
      to.resize(one->ai_addrlen);
    }
    if (list != nullptr) ::freeaddrinfo(list);
    const std::uint64_t done = 1;
    static_cast<void>(!::write(finished, &done, sizeof done));
  }
};

// False when there are no more threads. The signals are for the thread that is there for them.
bool look_up(const std::shared_ptr<Lookup>& lookup) {
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  bool started = lookup->finished >= 0;
  try {
    if (started) std::thread([lookup] { lookup->run(); }).detach();
  } catch (const std::system_error&) {
    started = false;
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

// Numeric addresses and localhost need no resolver, and so no /etc.
Task<Endpoints> resolve(std::string host, std::uint16_t port, Millis limit, std::string& why) {
  asio::error_code error;
  const auto numeric = asio::ip::make_address(host, error);
  if (!error) co_return Endpoints{{numeric, port}};
  if (host == "localhost")
    co_return Endpoints{{asio::ip::address_v4::loopback(), port},
                        {asio::ip::address_v6::loopback(), port}};
  const auto executor = co_await asio::this_coro::executor;
  const auto lookup = std::make_shared<Lookup>(std::move(host), port);
  why = "cannot be resolved";
  if (!look_up(lookup)) co_return Endpoints{};
  BorrowedDescriptor finished(executor, lookup->finished);
  Timer deadline(executor);
  deadline.arm(limit, [&finished] { finished.cancel(); });
  using Descriptor = asio::posix::stream_descriptor;
  co_await finished.async_wait(Descriptor::wait_read,
                               asio::redirect_error(asio::use_awaitable, error));
  deadline.cancel();
  std::uint64_t done = 0;
  if (::read(lookup->finished, &done, sizeof done) == sizeof done) co_return lookup->found;
  why = "the name was not resolved within " + format_duration(limit);
  co_return Endpoints{};
}

// A connected socket, or -1 with the reason.
Task<int> connect_to(asio::ip::tcp::endpoint endpoint, Millis limit, TlsFailure& failure) {
  const auto executor = co_await asio::this_coro::executor;
  asio::ip::tcp::socket socket(executor);
  Timer deadline(executor);
  deadline.arm(limit, [&socket] {
    asio::error_code ignored;
    socket.close(ignored);
  });
  asio::error_code error;
  co_await socket.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
  deadline.cancel();
  if (!socket.is_open()) {
    failure = {"no answer within " + format_duration(limit), Failure::kOther};
    co_return -1;
  }
  if (error) {
    // Taken and dropped before this could look: a cut, as it is a moment later.
    const bool was_taken = error.value() == EPIPE || error.value() == ECONNRESET;
    failure = was_taken ? failure_of_errno(error.value(), {"the controller", true})
                        : TlsFailure{error.message(), Failure::kOther};
    co_return -1;
  }
  const int fd = socket.release(error);
  co_return fd;
}

Task<bool> shake_hands(TlsTransport& transport, Millis limit, std::string& why, bool& is_late) {
  const auto executor = co_await asio::this_coro::executor;
  BorrowedDescriptor descriptor(executor, transport.fd());
  Timer deadline(executor);
  bool late = false;
  deadline.arm(limit, [&] {
    late = true;
    descriptor.cancel();
  });
  using Descriptor = asio::posix::stream_descriptor;
  Io status = transport.handshake();
  while (!late && (status == Io::kWantRead || status == Io::kWantWrite)) {
    asio::error_code error;
    const auto what = status == Io::kWantRead ? Descriptor::wait_read : Descriptor::wait_write;
    co_await descriptor.async_wait(what, asio::redirect_error(asio::use_awaitable, error));
    if (!late) status = transport.handshake();
  }
  deadline.cancel();
  is_late = late;
  if (status == Io::kDone) co_return true;
  why = late ? "the TLS handshake took longer than " + format_duration(limit) : transport.failure();
  co_return false;
}

// What one round over the addresses has met.
struct Round {
  std::string reasons;
  Code code = Code::kControllerDown;
  bool was_cut = false;  // by a peer that had taken the connection

  void note(const std::string& address, const std::string& why) {
    reasons += (reasons.empty() ? "" : "; ") + address + ": " + why;
  }
};

// TLS on a connected socket, or nullptr.
Task<std::unique_ptr<TlsTransport>> greet(TlsContext& tls, int fd, std::string ticket, Millis limit,
                                          std::string address, Round& round) {
  auto transport = TlsTransport::connect(tls, fd, ticket);
  std::string why;
  bool late = false;
  const bool greeted = co_await shake_hands(*transport, limit, why, late);
  if (greeted) co_return transport;
  if (const auto& refusal = transport->refusal())
    round.code = refusal->code == Code::kExpired || refusal->code == Code::kNotSignedIn
                     ? refusal->code
                     : Code::kPinMismatch;
  else if (!late && transport->failure_kind() == Failure::kCut)
    round.was_cut = true;
  round.note(address, why);
  co_return nullptr;
}

Task<std::unique_ptr<TlsTransport>> try_all(TlsContext& tls, const DialOptions& options,
                                            BootTime give_up, Round& round) {
  for (std::size_t i = 0; i < options.addresses.size(); ++i) {
    const std::string& address = options.addresses[i];
    auto parts = split_address(address);
    if (!parts) {
      round.note(address, parts.error().message);
      continue;
    }
    std::string why;
    const auto before = std::chrono::ceil<Millis>(give_up - BootClock::now());
    auto endpoints =
        co_await resolve(parts->first, parts->second, std::max(before, Millis{1}), why);
    if (endpoints.empty()) round.note(address, why);
    for (const auto& endpoint : endpoints) {
      const auto left = std::chrono::ceil<Millis>(give_up - BootClock::now());
      if (left <= Millis{0}) {
        round.note(address, "not tried, " + format_duration(options.timeout) + " were over before");
        break;
      }
      const bool last = i + 1 == options.addresses.size() && &endpoint == &endpoints.back();
      const Millis limit = last ? left : std::min(left, kPerAddress);
      TlsFailure failure;
      const int fd = co_await connect_to(endpoint, limit, failure);
      if (fd < 0) {
        round.was_cut |= failure.kind == Failure::kCut;
        round.note(address, failure.why);
        continue;
      }
      auto transport = co_await greet(tls, fd, options.ticket, limit, address, round);
      if (transport) co_return transport;
    }
  }
  co_return nullptr;
}

std::unexpected<Error> explain(const Round& round) {
  if (round.code == Code::kExpired)
    return fail(round.code, "the controller cannot be trusted (" + round.reasons + ")",
                "if the clocks are right: on the controller's machine, rexec controller status");
  if (round.code == Code::kNotSignedIn)
    return fail(round.code, round.reasons, "sign in again: rexec login rx1_…");
  if (round.code == Code::kPinMismatch)
    return fail(
        round.code,
        "the controller is not the one this context or token belongs to (" + round.reasons + ")",
        "was the controller set up anew? then sign in again with a new token: rexec login rx1_…");
  const std::string reasons = round.reasons.empty() ? "no address is known" : round.reasons;
  return fail(round.code, "no controller answers (" + reasons + ")",
              "is it running? on its machine: rexec controller status");
}

}  // namespace

Task<Result<std::unique_ptr<TlsTransport>>> dial(TlsContext& tls, DialOptions options) {
  const BootTime give_up = BootClock::now() + options.timeout;
  Patience patience = options.patience;
  for (int cuts = 0;;) {
    Round round;
    auto transport = co_await try_all(tls, options, give_up, round);
    if (transport) co_return std::move(transport);
    cuts += round.was_cut ? 1 : 0;
    // One that starts again refuses for a while; one that only ever hangs up does not want us.
    if (round.was_cut && patience == Patience::kAfterCut) patience = Patience::kUntilTimeout;
    const auto left = std::chrono::floor<Millis>(give_up - BootClock::now());
    if (round.code != Code::kControllerDown || round.reasons.empty() || cuts >= kMostCuts ||
        patience != Patience::kUntilTimeout || left <= Millis{0})
      co_return explain(round);
    co_await sleep_for_real(std::min(left, kBetweenRounds));
  }
}

}  // namespace rexec::net
