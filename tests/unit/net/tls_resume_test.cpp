// Sessions that are resumed from a ticket: who is believed then, and what it costs when it is not
// one.
#include "src/net/tls.hpp"
#include "src/net/tls_ticket.hpp"
#include "tests/unit/net/duct.hpp"

using namespace rexec;
using namespace rexec::net;
using namespace rexec::net::test;
using pki::Role;

namespace {

// One full handshake, and what the client may resume from.
struct Met {
  Cluster cluster;
  Credentials user = cluster.credentials(Role::kUser, kUser);
  TlsContext client = Cluster::use(TlsContext::client(user));
  TlsContext server = cluster.server();
  std::string ticket;
  Met() {
    client.on_ticket([this](std::string newest) { ticket = std::move(newest); });
    Duct first(client, server);
    first.shake_hands();
    first.carry();
    first.read_all(*first.client);
    REQUIRE_FALSE(ticket.empty());
  }
  TlsTicket decoded() const {
    const auto kept = decode_ticket(ticket);
    REQUIRE(kept.has_value());
    return *kept;
  }
  Met(const Met&) = delete;
  Met& operator=(const Met&) = delete;
};

}  // namespace

TEST_CASE("tls: a resumed session carries the identity") {  // FAULTS L12
  const Cluster cluster;
  TlsContext client = cluster.user();
  TlsContext server = cluster.server();
  std::string ticket;
  client.on_ticket([&](std::string newest) { ticket = std::move(newest); });
  Duct first(client, server);
  first.shake_hands();
  first.carry();
  first.read_all(*first.client);
  REQUIRE_FALSE(ticket.empty());
  CHECK_FALSE(first.client->resumed());
  Duct second(client, server, ticket);
  second.shake_hands();
  REQUIRE(second.both_done());
  CHECK(second.client->resumed());
  CHECK(second.server->resumed());
  REQUIRE(second.server->peer().has_value());
  CHECK(second.server->peer()->id == kUser);
  CHECK(second.server->peer()->serial == first.server->peer()->serial);
  CHECK(second.client->peer()->role == Role::kController);
}

TEST_CASE("tls: a ticket of a server that restarted costs a full handshake and nothing else") {
  const Cluster cluster;
  TlsContext client = cluster.user();
  TlsContext server = cluster.server();
  std::string ticket;
  client.on_ticket([&](std::string newest) { ticket = std::move(newest); });
  Duct first(client, server);
  first.shake_hands();
  first.read_all(*first.client);
  TlsContext restarted = cluster.server();
  for (const std::string& offered : {ticket, std::string("no ticket at all"), ticket.substr(1)}) {
    Duct second(client, restarted, offered);
    second.shake_hands();
    REQUIRE(second.both_done());
    CHECK_FALSE(second.client->resumed());
    CHECK(second.server->peer()->id == kUser);
  }
}

TEST_CASE("tls: a ticket does not outlive the certificate it was given for") {  // FAULTS L12
  Met met;
  TlsTicket ticket = met.decoded();
  CHECK(ticket.peer.role == Role::kController);
  CHECK(ticket.peer.id == kController);
  ticket.peer.not_before = wall_now() - 25h;
  ticket.peer.not_after = wall_now() - 1h;
  Duct second(met.client, met.server, encode_ticket(ticket));
  second.shake_hands();
  CHECK(second.client->resumed());
  CHECK(second.client_status == Io::kFailed);
  REQUIRE(second.client->refusal().has_value());
  CHECK(second.client->refusal()->code == Code::kExpired);
}

TEST_CASE("tls: a ticket is only offered with the certificates that it was made with") {
  Met met;
  TlsTicket ticket = met.decoded();
  ticket.made_with[0] ^= 1;
  Duct second(met.client, met.server, encode_ticket(ticket));
  second.shake_hands();
  REQUIRE(second.both_done());
  CHECK_FALSE(second.client->resumed());
  TlsContext other = met.cluster.client(Role::kUser, "u-ba9876543210");
  Duct third(other, met.server, met.ticket);
  third.shake_hands();
  REQUIRE(third.both_done());
  CHECK_FALSE(third.client->resumed());
  CHECK(third.server->peer()->id == "u-ba9876543210");
}

TEST_CASE("tls: a ticket whose peer is no controller is not believed") {
  Met met;
  TlsTicket ticket = met.decoded();
  ticket.peer.role = Role::kNode;
  ticket.peer.id = kNode;
  Duct second(met.client, met.server, encode_ticket(ticket));
  second.shake_hands();
  CHECK(second.client_status == Io::kFailed);
  CHECK(second.client->refusal().has_value());
}

TEST_CASE("tls: a ticket is small: it holds no certificate, and goes on from ticket to ticket") {
  Met met;
  CHECK(met.ticket.size() < 2'500);
  const auto first = decode_ticket(met.ticket);
  REQUIRE(first.has_value());
  const std::string before = met.ticket;
  Duct second(met.client, met.server, before);
  second.shake_hands();
  second.carry();
  second.read_all(*second.client);
  REQUIRE(second.client->resumed());
  REQUIRE(met.ticket != before);
  const auto next = decode_ticket(met.ticket);
  REQUIRE(next.has_value());
  CHECK(next->peer.serial == first->peer.serial);
  CHECK(next->peer.not_after == first->peer.not_after);
  Duct third(met.client, met.server, met.ticket);
  third.shake_hands();
  CHECK(third.client->resumed());
  CHECK(third.server->peer()->id == kUser);
}

TEST_CASE("tls: credentials that are not needed are not read, and are when they are") {
  Met met;
  const Credentials damaged{met.user.ca, met.user.certificate, "no key"};
  TlsContext hasty = Cluster::use(TlsContext::client(damaged, Load::kWhenNeeded));
  Duct resumed(hasty, met.server, met.ticket);
  resumed.shake_hands();
  CHECK(resumed.both_done());
  CHECK(resumed.client->resumed());

  TlsContext restarted = met.cluster.server();
  Duct full(hasty, restarted, met.ticket);
  full.shake_hands();
  CHECK(full.client_status == Io::kFailed);
  REQUIRE(full.client->refusal().has_value());
  CHECK(full.client->refusal()->code == Code::kNotSignedIn);

  TlsContext good = Cluster::use(TlsContext::client(met.user, Load::kWhenNeeded));
  CHECK_FALSE(good.own().has_value());
  for (int i = 0; i < 2; ++i) {
    Duct again(good, restarted, met.ticket);
    again.shake_hands();
    REQUIRE(again.both_done());
    CHECK_FALSE(again.client->resumed());
    CHECK(again.server->peer()->id == kUser);
  }
  CHECK(good.own()->id == kUser);
}

TEST_CASE("tls: every cut of a ticket is none, or costs a full handshake") {
  Met met;
  for (std::size_t size = 0; size < met.ticket.size(); size += 7)
    CHECK_FALSE(decode_ticket(met.ticket.substr(0, size)).has_value());
  TlsTicket ticket = met.decoded();
  for (std::size_t size = 0; size < ticket.session.size(); size += 41) {
    TlsTicket cut = ticket;
    cut.session.resize(size);
    Duct second(met.client, met.server, encode_ticket(cut));
    second.shake_hands();
    REQUIRE(second.both_done());
    CHECK_FALSE(second.client->resumed());
  }
}

TEST_CASE("tls: a context that is gone takes no tickets") {
  const Cluster cluster;
  TlsContext server = cluster.server();
  bool called = false;
  std::unique_ptr<Duct> duct;
  {
    TlsContext client = cluster.user();
    client.on_ticket([&](const std::string&) { called = true; });
    duct = std::make_unique<Duct>(client, server);
    while (duct->client_status != Io::kDone || duct->server_status != Io::kDone) {
      if (duct->client_status != Io::kDone) duct->client_status = duct->client->handshake();
      duct->carry();
      if (duct->server_status != Io::kDone) duct->server_status = duct->server->handshake();
      if (duct->server_status != Io::kDone) duct->carry();
    }
  }
  duct->carry();
  duct->read_all(*duct->client);
  CHECK(duct->last == Io::kWantRead);
  CHECK_FALSE(called);
}
