// Who gets through the TLS handshake, and what is known of him afterwards.
#include "src/net/tls.hpp"

#include "tests/unit/net/duct.hpp"
#include "tests/unit/pki/forge.hpp"

using namespace rexec;
using namespace rexec::net;
using namespace rexec::net::test;
using pki::Role;

namespace {

// Why the server refused the client's certificate; empty when it did not.
std::string refusal_of_client(TlsContext client, TlsContext server) {
  Duct duct(client, server);
  duct.shake_hands();
  if (duct.server_status == Io::kDone) return "";
  CHECK(duct.server_status == Io::kFailed);
  CHECK_FALSE(duct.server->peer().has_value());
  return duct.server->failure();
}

std::string refusal_of_server(TlsContext client, TlsContext server) {
  Duct duct(client, server);
  duct.shake_hands();
  if (duct.client_status == Io::kDone) return "";
  CHECK(duct.client_status == Io::kFailed);
  CHECK(duct.server_status != Io::kDone);
  return duct.client->failure();
}

// A client of `cluster` with a certificate made by hand.
TlsContext forged(const Cluster& cluster, const pki::Key& signer, const X509* issuer,
                  pki::forge::Recipe recipe) {
  const pki::Key own = pki::Key::generate();
  recipe.subject_key = own.get();
  const auto leaf = pki::forge::leaf(signer, issuer, wall_now(), recipe);
  return Cluster::use(TlsContext::client(
      {cluster.ca_der(), pki::encode_certificate(leaf.get()), own.encode(pki::Encoding::kDer)}));
}

pki::forge::Recipe user_recipe() {
  pki::forge::Recipe recipe;
  recipe.uris = {pki::identity_uri(Role::kUser, "prod", kUser)};
  return recipe;
}

// A user and the controller after their handshake.
struct Greeted {
  const Cluster cluster;
  TlsContext client = cluster.user();
  TlsContext server = cluster.server();
  Duct duct{client, server};
  Greeted() {
    duct.shake_hands();
    REQUIRE(duct.both_done());
  }
};

}  // namespace

TEST_CASE("tls: users and nodes are known by their certificates, and know their controller") {
  const Cluster cluster;
  struct Row {
    Role role;
    std::string id;
  };
  for (const Row& row : {Row{Role::kUser, kUser}, Row{Role::kNode, kNode}}) {
    TlsContext client = cluster.client(row.role, row.id);
    TlsContext server = cluster.server();
    Duct duct(client, server);
    duct.shake_hands();
    REQUIRE(duct.both_done());
    REQUIRE(duct.server->peer().has_value());
    CHECK(duct.server->peer()->role == row.role);
    CHECK(duct.server->peer()->id == row.id);
    CHECK(duct.server->peer()->cluster == "prod");
    REQUIRE(duct.client->peer().has_value());
    CHECK(duct.client->peer()->role == Role::kController);
    CHECK(duct.client->peer()->id == kController);
  }
}

TEST_CASE("tls: a stranger is let in as nobody, and finds the pinned CA") {  // FAULTS L5
  const Cluster cluster;
  TlsContext client = cluster.stranger();
  TlsContext server = cluster.server();
  Duct duct(client, server);
  duct.shake_hands();
  INFO(duct.client->failure() << " / " << duct.server->failure());
  REQUIRE(duct.both_done());
  CHECK_FALSE(duct.server->peer().has_value());
  CHECK(duct.client->peer_ca_der() == cluster.ca_der());
  CHECK(duct.client->enrol_exporter().size() == 32);
  CHECK(duct.client->enrol_exporter() == duct.server->enrol_exporter());
  Duct other(client, server);
  other.shake_hands();
  CHECK(other.client->enrol_exporter() != duct.client->enrol_exporter());
}

TEST_CASE("tls: a stranger with a pin refuses another CA and sends nothing more") {  // FAULTS A6
  const Cluster cluster, impostor;
  TlsContext client = cluster.stranger();
  TlsContext server = impostor.server();
  Duct duct(client, server);
  duct.shake_hands();
  CHECK(duct.client_status == Io::kFailed);
  REQUIRE(duct.client->refusal().has_value());
  CHECK(duct.client->refusal()->code == Code::kPinMismatch);
  CHECK(duct.server_status == Io::kFailed);
}

TEST_CASE("tls: the pinned CA beside another one's leaf does not help") {
  // The CA's certificate is public: anybody can send it along.
  const Cluster cluster, impostor;
  Credentials mixed = impostor.credentials(Role::kController, kController);
  mixed.ca = cluster.ca_der();
  CHECK(refusal_of_server(cluster.stranger(), Cluster::use(TlsContext::server(mixed))) ==
        "the certificate is refused: not signed by this cluster's CA");
}

TEST_CASE("tls: a certificate of another CA with identical names is refused") {  // FAULTS L6
  const Cluster cluster, impostor;
  CHECK(refusal_of_client(impostor.stranger(), cluster.server()) != "");
  Credentials of_impostor = impostor.credentials(Role::kUser, kUser);
  of_impostor.ca = cluster.ca_der();
  CHECK(refusal_of_client(Cluster::use(TlsContext::client(of_impostor)), cluster.server()) ==
        "the certificate is refused: not signed by this cluster's CA");
  CHECK(refusal_of_server(cluster.user(), impostor.server()) ==
        "the certificate is refused: not signed by this cluster's CA");
}

TEST_CASE("tls: a client whose certificate is refused hears so in words") {
  const Cluster cluster, other;
  Credentials credentials = other.credentials(Role::kUser, kUser);
  credentials.ca = cluster.ca_der();
  TlsContext client = Cluster::use(TlsContext::client(credentials));
  TlsContext server = cluster.server();
  Duct duct(client, server);
  duct.shake_hands();
  CHECK(duct.client_status == Io::kDone);  // TLS 1.3: the refusal comes after
  duct.read_all(*duct.client);
  CHECK(duct.last == Io::kFailed);
  CHECK(duct.client->failure().starts_with("the controller refuses our certificate"));
  CHECK(duct.client->failure_kind() == Failure::kRefused);
}

TEST_CASE("tls: no certificate but a controller's makes a controller") {  // FAULTS L10
  const Cluster cluster;
  for (const auto& [role, id] : {std::pair{Role::kUser, kUser}, std::pair{Role::kNode, kNode}}) {
    const std::string refusal = refusal_of_server(
        cluster.user(), Cluster::use(TlsContext::server(cluster.credentials(role, id))));
    CHECK(refusal == "the peer's certificate is not a controller's");
  }
}

TEST_CASE("tls: an expired client is let in to renew for 30 days, not longer") {  // FAULTS L7
  const Cluster cluster;
  TlsContext client = cluster.client(Role::kNode, kNode, {25h, 24h});
  TlsContext server = cluster.server();
  Duct duct(client, server);
  duct.shake_hands();
  REQUIRE(duct.both_done());
  CHECK(pki::is_expired(*duct.server->peer(), wall_now()));
  CHECK(refusal_of_client(cluster.client(Role::kNode, kNode, {24h * 32, 24h}), cluster.server())
            .find("ended at") != std::string::npos);
  CHECK(refusal_of_client(cluster.client(Role::kNode, kNode, {-1h, 24h}), cluster.server())
            .find("not valid before") != std::string::npos);
}

TEST_CASE("tls: an expired controller is refused, with both clocks") {  // FAULTS L7 L17
  const Cluster cluster;
  TlsContext client = cluster.user();
  TlsContext server = cluster.server({25h, 24h});
  Duct duct(client, server);
  duct.shake_hands();
  REQUIRE(duct.client->refusal().has_value());
  CHECK(duct.client->refusal()->code == Code::kExpired);
  CHECK(duct.client->refusal()->message.find("the clock here says") != std::string::npos);
  CHECK(refusal_of_server(cluster.user(), cluster.server({-4min, 24h})) == "");
  CHECK(refusal_of_server(cluster.user(), cluster.server({-1h, 24h})) != "");
}

TEST_CASE(
    "tls: a leaf that a leaf has signed, and a leaf that is a CA, are refused") {  // FAULTS L8
  const Cluster cluster;
  const pki::Key node = pki::Key::generate();
  auto leaf = pki::issue_leaf(cluster.key, cluster.ca.get(), node.get(),
                              {Role::kNode, kNode, wall_now(), 24h});
  REQUIRE(leaf.has_value());
  CHECK(refusal_of_client(forged(cluster, node, leaf->get(), user_recipe()), cluster.server()) !=
        "");
  pki::forge::Recipe authority = user_recipe();
  authority.basic = "critical,CA:TRUE";
  CHECK(refusal_of_client(forged(cluster, cluster.key, cluster.ca.get(), authority),
                          cluster.server()) == "the certificate is refused: not CA:FALSE");
  CHECK(refusal_of_client(forged(cluster, cluster.key, cluster.ca.get(), user_recipe()),
                          cluster.server()) == "");
}

TEST_CASE("tls: a certificate without, or with two, identities is refused") {  // FAULTS L16
  const Cluster cluster;
  pki::forge::Recipe none;
  CHECK(refusal_of_client(forged(cluster, cluster.key, cluster.ca.get(), none), cluster.server()) !=
        "");
  pki::forge::Recipe two = user_recipe();
  two.uris.push_back(pki::identity_uri(Role::kNode, "prod", kNode));
  CHECK(refusal_of_client(forged(cluster, cluster.key, cluster.ca.get(), two), cluster.server()) !=
        "");
}

TEST_CASE("tls: what write() took needs no flush, also after a flight that was gathered") {
  Greeted greeted;
  Duct& duct = greeted.duct;
  std::string expected;
  for (const bool gathers : {false, true, false}) {
    const std::string piece(gathers ? 40'000 : 5, gathers ? 'g' : 'w');
    for (std::size_t at = 0; at < piece.size();) {
      const ByteSpan rest = as_bytes(std::string_view(piece).substr(at));
      const IoResult put = gathers ? duct.client->gather(rest) : duct.client->write(rest);
      REQUIRE(put.status == Io::kDone);
      at += put.bytes;
    }
    expected += piece;
    if (gathers) continue;  // its flush is owed, and the next write() brings it
    std::string arrived;
    while (duct.carry()) arrived += duct.read_all(*duct.server);
    CHECK(arrived == expected);
    expected.clear();
  }
}

TEST_CASE("tls: a read says whether the peer had no more to say, as far as that is known") {
  Greeted greeted;
  Duct& duct = greeted.duct;
  const auto say = [&](const std::string& text) {
    REQUIRE(duct.client->write(as_bytes(text)).bytes == text.size());
  };
  std::vector<std::uint8_t> room(20'000);
  const auto hear = [&](std::size_t most) {
    return duct.server->read(MutableBytes(room).first(most));
  };
  say("one line");
  duct.carry();
  CHECK(hear(room.size()).drained);
  say("two");
  say("lines");
  duct.carry();
  CHECK_FALSE(hear(room.size()).drained);  // another record came with it
  CHECK(hear(room.size()).drained);
  say("more than there is room for");
  duct.carry();
  CHECK_FALSE(hear(4).drained);
  CHECK(hear(room.size()).drained);
  say(std::string(16 << 10, 'f'));  // a full record: of a flight that may go on
  duct.carry();
  CHECK_FALSE(hear(room.size()).drained);
  say("torn");
  say("behind it");
  const std::string sealed = drain(duct.to_client);
  duct.give(duct.to_server, sealed.substr(0, sealed.size() - 1));
  CHECK_FALSE(hear(room.size()).drained);
  CHECK(hear(room.size()).status == Io::kWantRead);
  duct.give(duct.to_server, sealed.substr(sealed.size() - 1));
  CHECK(hear(room.size()).drained);
}

TEST_CASE("tls: a clean end and a cut are told apart") {
  const Cluster cluster;
  TlsContext client = cluster.user();
  TlsContext server = cluster.server();
  Duct clean(client, server);
  clean.shake_hands();
  clean.server->shutdown();
  clean.carry();
  clean.read_all(*clean.client);
  CHECK(clean.last == Io::kEof);
  Duct cut(client, server);
  cut.shake_hands();
  ::shutdown(cut.to_client, SHUT_WR);
  cut.read_all(*cut.client);
  CHECK(cut.last == Io::kFailed);
  CHECK(cut.client->failure() == "the controller closed the connection");
  CHECK(cut.client->failure_kind() == Failure::kCut);
  CHECK(cut.client->write(as_bytes("x")).status == Io::kFailed);
}
