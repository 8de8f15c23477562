// A fleet of idle agents in one process, for the controller's memory: real certificates, real TLS,
// real sessions, each from an address of its own (127.0.x.y). `prepare DATA COUNT DIR` writes nodes
// and keys while the controller is down, `hold ADDRESS COUNT DIR` connects them all, prints
// "connected" and answers heartbeats until its stdin ends.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>

#include "src/base/file.hpp"
#include "src/net/listener.hpp"
#include "src/net/session_driver.hpp"
#include "src/net/tls.hpp"
#include "src/pki/authority.hpp"
#include "src/store/engine/store.hpp"
#include "tests/bench/must.hpp"

namespace {

using namespace rexec;

int prepare(const std::string& data, int count, const std::string& directory) {
  auto authority = must(pki::Authority::load(data));
  auto store = must(store::Store::open({data, {}, {}}));
  std::filesystem::create_directories(directory);
  must_do(make_directories(directory, 0700));
  std::vector<store::NodeRow> nodes;
  std::vector<store::CertificateRow> certificates;
  for (int i = 0; i < count; ++i) {
    const pki::Key key = pki::Key::generate();
    const std::string id = random_id('n');
    auto issued =
        must(authority.issue(key.get(), {pki::Role::kNode, id, wall_now(), pki::kNodeLifetime}));
    nodes.push_back(
        {{id}, "idle" + std::to_string(i), "{}", issued.identity.serial, wall_now(), "", {}});
    certificates.push_back(store::certificate_row(issued, wall_now()));
    const std::string base = directory + "/" + std::to_string(i);
    must_do(write_file(base + ".key", key.encode(pki::Encoding::kDer), 0600));
    must_do(write_file(base + ".crt", issued.der, 0600));
  }
  must_do(
      write_file(directory + "/ca.der", pki::encode_certificate(authority.certificate()), 0600));
  auto done = store->run_now([&](store::Database& db) {
    for (const auto& row : certificates) store::insert_certificate(db, row);
    for (const auto& row : nodes) store::insert_node(db, row);
  });
  if (!done) give_up(done.error().message);
  return 0;
}

class Idle final : public net::SessionHandler {
 public:
  Idle(net::TlsContext tls, int number) : tls_(std::move(tls)), number_(number) {}
  void connect(const net::Executor& executor, const std::string& host, std::uint16_t port,
               int& online) {
    online_ = &online;
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in from{};
    from.sin_family = AF_INET;
    from.sin_addr.s_addr = htonl(0x7F010000U + static_cast<std::uint32_t>(number_ / 250) * 256 +
                                 static_cast<std::uint32_t>(number_ % 250) + 2);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    ::inet_pton(AF_INET, host.c_str(), &to.sin_addr);
    if (::bind(fd, reinterpret_cast<sockaddr*>(&from), sizeof from) != 0 ||
        ::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
      give_up("agent " + std::to_string(number_) + " cannot connect: " + std::strerror(errno));
    auto transport = net::TlsTransport::connect(tls_, fd);
    for (net::Io status; (status = transport->handshake()) != net::Io::kDone;) {
      if (status == net::Io::kFailed) give_up("handshake: " + transport->failure());
      pollfd ready{fd, static_cast<short>(status == net::Io::kWantRead ? POLLIN : POLLOUT), 0};
      ::poll(&ready, 1, 5000);
    }
    wire::SessionOptions options;
    options.now = BootClock::now();
    driver_ = std::make_shared<net::SessionDriver>(executor, std::move(transport), options);
    driver_->session().send_hello({{"role", "node"}, {"software", "bench"}});
    driver_->session().request("reconcile", {{"jobs", wire::Map::array()}, {"last", true}});
    driver_->start(*this);
  }
  void on_event(wire::Event event) override {
    if (std::holds_alternative<wire::event::Response>(event)) ++*online_;
    if (auto* closed = std::get_if<wire::event::Closed>(&event))
      give_up("closed: " + closed->error.message);
  }

 private:
  net::TlsContext tls_;
  int number_;
  int* online_ = nullptr;
  std::shared_ptr<net::SessionDriver> driver_;
};

int hold(const std::string& address, int count, const std::string& directory) {
  const auto [host, port] = must(net::split_address(address));
  asio::io_context context(1);
  int online = 0;
  std::vector<std::unique_ptr<Idle>> agents;
  const std::string ca = must(read_file(directory + "/ca.der"));
  for (int i = 0; i < count; ++i) {
    const std::string base = directory + "/" + std::to_string(i);
    auto tls = must(net::TlsContext::client(
        {ca, must(read_file(base + ".crt")), must(read_file(base + ".key"))}));
    agents.push_back(std::make_unique<Idle>(std::move(tls), i));
    agents.back()->connect(context.get_executor(), host, port, online);
    context.poll();
  }
  while (online < count) context.run_one();
  std::puts("connected");
  std::fflush(stdout);
  asio::posix::stream_descriptor input(context, ::dup(0));
  input.async_wait(asio::posix::stream_descriptor::wait_read,
                   [](const asio::error_code&) { std::_Exit(0); });
  context.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 5 && std::strcmp(argv[1], "prepare") == 0)
    return prepare(argv[2], std::atoi(argv[3]), argv[4]);
  if (argc == 5 && std::strcmp(argv[1], "hold") == 0)
    return hold(argv[2], std::atoi(argv[3]), argv[4]);
  std::fputs("usage: bench_idle_agents prepare DATA COUNT DIR | hold ADDRESS COUNT DIR\n", stderr);
  return 2;
}
