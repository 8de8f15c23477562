// A client that uses OpenSSL itself, to do what ours never would.
#include <openssl/ssl.h>

#include "tests/unit/net/duct.hpp"
#include "tests/unit/pki/forge.hpp"

using namespace rexec;
using namespace rexec::net;
using namespace rexec::net::test;

namespace {

constexpr unsigned char kAlpn[] = {7, 'r', 'e', 'x', 'e', 'c', '/', '1'};

// A stranger at first: no certificate, every server believed.
class RawClient {
 public:
  explicit RawClient(TlsContext& server_side) : context(SSL_CTX_new(TLS_client_method())) {
    int both[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, both) == 0);
    fd = both[0];
    server = TlsTransport::accept(server_side, both[1]);
    SSL_CTX_set_alpn_protos(context, kAlpn, sizeof kAlpn);
  }
  ~RawClient() {
    SSL_free(ssl);
    SSL_CTX_free(context);
    ::close(fd);
  }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  // What the server makes of it.
  Io shake_hands() {
    ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    SSL_set_connect_state(ssl);
    Io status = Io::kWantRead;
    for (int turn = 0; turn < 20 && status == Io::kWantRead; ++turn) {
      SSL_do_handshake(ssl);
      status = server->handshake();
    }
    SSL_do_handshake(ssl);
    return status;
  }
  IoResult server_reads() {
    std::uint8_t piece[64];
    return server->read(piece);
  }

  SSL_CTX* context;
  SSL* ssl = nullptr;
  int fd = -1;
  std::unique_ptr<TlsTransport> server;
};

}  // namespace

TEST_CASE("tls: the raw client of these tests is let in when it behaves") {
  const Cluster cluster;
  TlsContext server = cluster.server();
  RawClient client(server);
  CHECK(client.shake_hands() == Io::kDone);
  CHECK(std::string(SSL_get_version(client.ssl)) == "TLSv1.3");
}

TEST_CASE("tls: versions before 1.3 are refused") {  // FAULTS L2
  const Cluster cluster;
  TlsContext server = cluster.server();
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION}) {
    RawClient client(server);
    SSL_CTX_set_security_level(client.context, 0);
    SSL_CTX_set_min_proto_version(client.context, TLS1_VERSION);
    REQUIRE(SSL_CTX_set_max_proto_version(client.context, version) == 1);
    CHECK(client.shake_hands() == Io::kFailed);
  }
}

TEST_CASE("tls: only suites of 1.3 and X25519 are spoken") {  // FAULTS L19
  const Cluster cluster;
  TlsContext server = cluster.server();
  RawClient client(server);
  REQUIRE(client.shake_hands() == Io::kDone);
  CHECK(std::string(SSL_get_cipher_name(client.ssl)).starts_with("TLS_"));
  RawClient other(server);
  SSL_CTX_set1_groups_list(other.context, "P-256");
  CHECK(other.shake_hands() == Io::kFailed);
}

TEST_CASE("tls: a client that does not ask for rexec/1 is refused") {
  const Cluster cluster;
  TlsContext server = cluster.server();
  RawClient silent(server);
  SSL_CTX_set_alpn_protos(silent.context, nullptr, 0);
  CHECK(silent.shake_hands() == Io::kFailed);
  RawClient browser(server);
  constexpr unsigned char kWeb[] = {2, 'h', '2', 8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  SSL_CTX_set_alpn_protos(browser.context, kWeb, sizeof kWeb);
  CHECK(browser.shake_hands() == Io::kFailed);
}

TEST_CASE("tls: a chain of a hundred certificates is refused by its size") {  // FAULTS L4
  const Cluster cluster;
  TlsContext server = cluster.server();
  for (const int links : {1, 100}) {
    RawClient client(server);
    const pki::Key own = pki::Key::generate();
    auto leaf = pki::issue_leaf(cluster.key, cluster.ca.get(), own.get(),
                                {pki::Role::kUser, kUser, wall_now(), 24h});
    REQUIRE(SSL_CTX_use_certificate(client.context, leaf->get()) == 1);
    REQUIRE(SSL_CTX_use_PrivateKey(client.context, own.get()) == 1);
    for (int i = 0; i < links; ++i) SSL_CTX_add1_chain_cert(client.context, cluster.ca.get());
    CHECK(client.shake_hands() == (links == 1 ? Io::kDone : Io::kFailed));
  }
}

TEST_CASE("tls: no early data is offered, and none is taken") {  // FAULTS L12
  const Cluster cluster;
  TlsContext server = cluster.server();
  RawClient client(server);
  REQUIRE(client.shake_hands() == Io::kDone);
  char byte = 0;
  SSL_read(client.ssl, &byte, 1);  // the ticket
  SSL_SESSION* ticket = SSL_get1_session(client.ssl);
  REQUIRE(SSL_SESSION_is_resumable(ticket) == 1);
  CHECK(SSL_SESSION_get_max_early_data(ticket) == 0);
  RawClient again(server);
  again.ssl = SSL_new(again.context);
  SSL_SESSION_set_max_early_data(ticket, 16'384);
  SSL_set_session(again.ssl, ticket);
  SSL_SESSION_free(ticket);
  SSL_set_fd(again.ssl, again.fd);
  std::size_t written = 0;
  REQUIRE(SSL_write_early_data(again.ssl, "forged", 6, &written) == 1);
  while (again.server->handshake() == Io::kWantRead) SSL_do_handshake(again.ssl);
  CHECK(SSL_get_early_data_status(again.ssl) != SSL_EARLY_DATA_ACCEPTED);
  CHECK(again.server_reads().bytes == 0);
}

TEST_CASE("tls: a client that changes its keys all the time is cut off") {  // FAULTS L14
  const Cluster cluster;
  TlsContext server = cluster.server();
  RawClient client(server);
  REQUIRE(client.shake_hands() == Io::kDone);
  int updates = 0;
  IoResult got{Io::kDone, 1};
  for (; got.status == Io::kDone && updates < 100; ++updates) {
    REQUIRE(SSL_key_update(client.ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
    REQUIRE(SSL_write(client.ssl, "x", 1) == 1);
    got = client.server_reads();
  }
  CHECK(updates == 33);
  CHECK(client.server->failure() == "the peer changes its keys all the time");
}

TEST_CASE("tls: key updates that ask for ours are answered, in order with gathered data") {
  const Cluster cluster;
  TlsContext server = cluster.server();
  RawClient client(server);
  REQUIRE(client.shake_hands() == Io::kDone);
  std::string heard;
  for (int i = 0; i < 20; ++i) {
    REQUIRE(SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED) == 1);
    REQUIRE(SSL_write(client.ssl, "x", 1) == 1);
    const std::string text(1, static_cast<char>('a' + i));
    REQUIRE(client.server->gather(as_bytes(text)).status == Io::kDone);
    CHECK(client.server_reads().bytes == 1);  // ours is due now, in the middle of a flight
    REQUIRE(client.server->gather(as_bytes(text)).status == Io::kDone);
    REQUIRE(client.server->flush() == Io::kDone);
    char piece[8];
    int n = 0;
    while ((n = SSL_read(client.ssl, piece, sizeof piece)) > 0)
      heard.append(piece, static_cast<std::size_t>(n));
  }
  CHECK(heard == "aabbccddeeffgghhiijjkkllmmnnooppqqrrsstt");
}
