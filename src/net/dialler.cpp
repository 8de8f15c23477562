#include "src/net/dialler.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "src/net/listener.hpp"

namespace rexec::net {
namespace {

constexpr Millis kPerAddress{2'000};

using Endpoints = std::vector<asio::ip::tcp::endpoint>;

// Numeric addresses and localhost need no resolver, and so no /etc.
Task<Endpoints> resolve(std::string host, std::uint16_t port, std::string& why) {
  asio::error_code error;
  const auto numeric = asio::ip::make_address(host, error);
  if (!error) co_return Endpoints{{numeric, port}};
  if (host == "localhost")
    co_return Endpoints{{asio::ip::address_v4::loopback(), port},
                        {asio::ip::address_v6::loopback(), port}};
  const auto executor = co_await asio::this_coro::executor;
  asio::ip::tcp::resolver resolver(executor);
  const std::string service = std::to_string(port);
  auto found = co_await resolver.async_resolve(host, service,
                                               asio::redirect_error(asio::use_awaitable, error));
  Endpoints out;
  for (const auto& entry : found) out.push_back(entry.endpoint());
  if (out.empty()) why = "cannot be resolved";
  co_return out;
}

// A connected socket, or -1 with the reason.
Task<int> connect_to(asio::ip::tcp::endpoint endpoint, Millis limit, std::string& why) {
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
    why = "no answer within " + format_duration(limit);
    co_return -1;
  }
  if (error) {
    why = error.message();
    co_return -1;
  }
  const int fd = socket.release(error);
  co_return fd;
}

Task<bool> shake_hands(TlsTransport& transport, Millis limit, std::string& why) {
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
  if (status == Io::kDone) co_return true;
  why = late ? "the TLS handshake took longer than " + format_duration(limit) : transport.failure();
  co_return false;
}

}  // namespace

Task<Result<std::unique_ptr<TlsTransport>>> dial(TlsContext& tls, DialOptions options) {
  const BootTime give_up = BootClock::now() + options.timeout;
  std::string reasons;
  Code code = Code::kControllerDown;
  const auto note = [&](const std::string& address, const std::string& why) {
    reasons += (reasons.empty() ? "" : "; ") + address + ": " + why;
  };
  for (std::size_t i = 0; i < options.addresses.size(); ++i) {
    const std::string& address = options.addresses[i];
    auto parts = split_address(address);
    if (!parts) {
      note(address, parts.error().message);
      continue;
    }
    std::string why;
    auto endpoints = co_await resolve(parts->first, parts->second, why);
    if (endpoints.empty()) note(address, why);
    for (const auto& endpoint : endpoints) {
      const auto left = std::chrono::duration_cast<Millis>(give_up - BootClock::now());
      if (left <= Millis{0}) break;
      const bool last = i + 1 == options.addresses.size() && &endpoint == &endpoints.back();
      const Millis limit = last ? left : std::min(left, kPerAddress);
      const int fd = co_await connect_to(endpoint, limit, why);
      if (fd < 0) {
        note(address, why);
        continue;
      }
      auto transport = TlsTransport::connect(tls, fd, options.ticket);
      const bool greeted = co_await shake_hands(*transport, limit, why);
      if (greeted) co_return std::move(transport);
      if (const auto& refusal = transport->refusal())
        code = refusal->code == Code::kExpired ? Code::kExpired : Code::kPinMismatch;
      note(address, why);
    }
  }
  if (reasons.empty()) reasons = "no address is known";
  if (code == Code::kExpired)
    co_return fail(code, "the controller cannot be trusted (" + reasons + ")",
                   "if the clocks are right: on the controller's machine, rexec controller status");
  if (code == Code::kPinMismatch)
    co_return fail(
        code, "the controller is not the one this context or token belongs to (" + reasons + ")",
        "was the controller set up anew? then sign in again with a new token: rexec login rx1_…");
  co_return fail(code, "no controller answers (" + reasons + ")",
                 "is it running? on its machine: rexec controller status");
}

}  // namespace rexec::net
