// A recorded session inside of TLS, with a bit of its ciphertext flipped on the way: none of it
// arrives, and the connection is over. What the machine behind it promises by itself is
// tests/property/wire/flip_property.cpp.
#include "src/wire/session.hpp"
#include "tests/unit/net/duct.hpp"

using namespace rexec;
using namespace rexec::net;
using namespace rexec::net::test;

namespace {

std::string recorded_session() {
  wire::SessionOptions options;
  options.now = BootTime(1h);
  wire::Session session(options);
  session.send_hello({{"role", "user"}});
  session.request("node.rm", {{"name", "n1"}});
  std::string bytes;
  for (const Buffer& piece : session.take_output(options.now, 1 << 20)) bytes += as_text(piece);
  return bytes;
}

// How many events a session behind `transport` has of what arrives.
std::size_t events_behind(Duct& duct) {
  wire::SessionOptions options;
  options.side = wire::Side::kAcceptor;
  options.now = BootTime(1h);
  wire::Session session(options);
  session.receive(options.now, as_bytes(duct.read_all(*duct.server)));
  std::size_t events = 0;
  wire::Event event;
  while (session.next_event(event)) ++events;
  return events;
}

// The bits that are tried: all of the record's header and of its tag, one of each byte between.
std::vector<std::size_t> bits_of(std::size_t bytes) {
  std::vector<std::size_t> bits;
  for (std::size_t byte = 0; byte < bytes; ++byte) {
    const bool all = byte < 5 || byte + 16 >= bytes;
    for (std::size_t bit = 0; bit < 8; ++bit)
      if (all || bit == byte % 8) bits.push_back(byte * 8 + bit);
  }
  return bits;
}

}  // namespace

TEST_CASE(
    "tls: not one flipped bit of a session's ciphertext lets any of it through") {  // FAULTS W16
  const Cluster cluster;
  TlsContext client = cluster.user();
  TlsContext server = cluster.server();
  std::string ticket;  // resumption, so that hundreds of handshakes cost little
  client.on_ticket([&](std::string newest) { ticket = std::move(newest); });
  const std::string session = recorded_session();
  std::size_t refused = 0, waiting = 0;
  std::vector<std::size_t> bits{0};
  for (std::size_t i = 0; i < bits.size(); ++i) {
    Duct duct(client, server, ticket);
    duct.shake_hands();
    REQUIRE(duct.both_done());
    duct.read_all(*duct.client);
    REQUIRE(duct.client->write(as_bytes(session)).bytes == session.size());
    std::string record = drain(duct.to_client);
    if (i == 0) bits = bits_of(record.size());
    record[bits[i] / 8] = static_cast<char>(record[bits[i] / 8] ^ (1 << (bits[i] % 8)));
    Duct::give(duct.to_server, record);
    INFO("bit " << bits[i] << " of " << record.size() * 8);
    CHECK(events_behind(duct) == 0);
    CHECK((duct.last == Io::kFailed || duct.last == Io::kWantRead));
    ++(duct.last == Io::kFailed ? refused : waiting);
  }
  // A longer length in the header waits for bytes that never come; everything else is refused.
  CHECK(waiting < 16);
  CHECK(refused > 200);
}

TEST_CASE("tls: the same record twice, or out of order, is refused") {
  const Cluster cluster;
  TlsContext client = cluster.user();
  TlsContext server = cluster.server();
  for (const bool swapped : {false, true}) {
    Duct duct(client, server);
    duct.shake_hands();
    duct.read_all(*duct.client);
    duct.client->write(as_bytes("first"));
    const std::string first = drain(duct.to_client);
    duct.client->write(as_bytes("second"));
    const std::string second = drain(duct.to_client);
    Duct::give(duct.to_server, swapped ? second + first : first + first + second);
    CHECK(duct.read_all(*duct.server) == (swapped ? "" : "first"));
    CHECK(duct.last == Io::kFailed);
  }
}
