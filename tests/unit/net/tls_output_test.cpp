// Gathered ciphertext: few calls, every byte once and in order, no memory kept.
#include "src/net/tls_output.hpp"

#include <openssl/bio.h>

#include <random>

#include "tests/unit/net/duct.hpp"

using namespace rexec;
using namespace rexec::net;
using namespace rexec::net::test;

namespace {

struct Sockets {
  explicit Sockets(int type, int send_buffer = 0) {
    int both[2];
    REQUIRE(::socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, both) == 0);
    near = both[0];
    far = both[1];
    if (send_buffer > 0) ::setsockopt(near, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof(int));
  }
  ~Sockets() {
    ::close(near);
    ::close(far);
  }
  Sockets(const Sockets&) = delete;
  Sockets& operator=(const Sockets&) = delete;
  int near = -1, far = -1;
};

// An output with the BIO that OpenSSL would write to.
struct Output {
  explicit Output(int fd) : output(fd), bio(output.make_bio()) {}
  ~Output() { BIO_free(bio); }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  int write(std::string_view bytes) {
    return BIO_write(bio, bytes.data(), static_cast<int>(bytes.size()));
  }
  TlsOutput output;
  BIO* bio;
};

std::string record_of(char c) { return std::string(16 << 10, c); }

}  // namespace

TEST_CASE("output: a flight leaves in one call") {
  // A packet socket shows where one call ends.
  const Sockets sockets(SOCK_SEQPACKET);
  Output out(sockets.near);
  out.output.gather();
  std::string flight;
  for (const char c : {'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'}) {
    REQUIRE(out.write(record_of(c)) == 16 << 10);
    flight += record_of(c);
  }
  char piece[1];
  CHECK(::recv(sockets.far, piece, 1, MSG_PEEK) < 0);
  CHECK(out.output.flush() == Io::kDone);
  std::string arrived(256 << 10, '\0');
  arrived.resize(static_cast<std::size_t>(::recv(sockets.far, arrived.data(), arrived.size(), 0)));
  const bool same = arrived == flight;
  CHECK(same);
}

TEST_CASE("output: without gather() each write leaves at once") {
  const Sockets sockets(SOCK_SEQPACKET);
  Output out(sockets.near);
  for (const char c : {'a', 'b'}) {
    CHECK(out.write(std::string(10, c)) == 10);
    CHECK(drain(sockets.far) == std::string(10, c));
  }
  CHECK(out.output.flush() == Io::kDone);
}

TEST_CASE("output: more than fits leaves before the flight's end, in order") {
  const Sockets sockets(SOCK_STREAM, 1 << 20);
  Output out(sockets.near);
  std::string flight, arrived;
  for (char c = 'a'; c < 'a' + 20; ++c) {
    out.output.gather();
    REQUIRE(out.write(record_of(c)) == 16 << 10);
    flight += record_of(c);
    arrived += drain(sockets.far);
  }
  CHECK_FALSE(arrived.empty());
  CHECK(out.output.flush() == Io::kDone);
  arrived += drain(sockets.far);
  const bool same = arrived == flight;
  CHECK(same);
}

TEST_CASE("output: what a full socket leaves is kept, asked for again, and its memory given back") {
  const Sockets sockets(SOCK_STREAM, 4 << 10);
  Output out(sockets.near);
  out.output.gather();
  REQUIRE(out.write(record_of('a')) == 16 << 10);
  REQUIRE(out.write(record_of('b')) == 16 << 10);
  CHECK(out.output.flush() == Io::kWantWrite);
  CHECK(out.output.stuck() > 0);
  // Nothing may pass what is stuck, gathered or not.
  CHECK(out.write("c") == -1);
  CHECK(BIO_should_retry(out.bio));
  out.output.gather();
  CHECK(out.write("c") == -1);
  CHECK(BIO_should_retry(out.bio));
  std::string arrived;
  while (out.output.flush() == Io::kWantWrite) arrived += drain(sockets.far);
  CHECK(out.output.stuck() == 0);
  CHECK(out.write("c") == 1);
  arrived += drain(sockets.far);
  const bool same = arrived == record_of('a') + record_of('b') + "c";
  CHECK(same);
}

TEST_CASE("output: a reader that is gone is an error and not a signal") {
  const Sockets sockets(SOCK_STREAM);
  Output out(sockets.near);
  ::shutdown(sockets.near, SHUT_WR);
  CHECK(out.write("x") == -1);
  CHECK_FALSE(BIO_should_retry(out.bio));
  out.output.gather();
  CHECK(out.write("x") == 1);
  CHECK(out.output.flush() == Io::kFailed);
  CHECK(errno == EPIPE);
}

TEST_CASE("output: two connections that gather at the same time do not mix") {
  const Sockets one(SOCK_STREAM), two(SOCK_STREAM);
  Output first(one.near), second(two.near);
  first.output.gather();
  REQUIRE(first.write("1a") == 2);
  second.output.gather();
  REQUIRE(second.write("2a") == 2);
  REQUIRE(first.write("1b") == 2);
  CHECK(second.output.flush() == Io::kDone);
  CHECK(first.output.flush() == Io::kDone);
  CHECK(drain(one.far) == "1a1b");
  CHECK(drain(two.far) == "2a");
}

TEST_CASE("output: a connection that goes away while it gathers leaves nothing behind") {
  const Sockets one(SOCK_STREAM), two(SOCK_STREAM);
  {
    Output first(one.near);
    first.output.gather();
    REQUIRE(first.write("lost") == 4);
  }
  Output second(two.near);
  second.output.gather();
  REQUIRE(second.write("kept") == 4);
  CHECK(second.output.flush() == Io::kDone);
  CHECK(drain(one.far).empty());
  CHECK(drain(two.far) == "kept");
}

TEST_CASE("output: any mix of gathering, flushing and full sockets keeps every byte in order") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    const Sockets sockets(SOCK_STREAM, static_cast<int>(4'000 + random() % 60'000));
    Output out(sockets.near);
    std::string sent, arrived;
    for (int i = 0; i < 300; ++i) {
      const std::string piece(1 + random() % (random() % 4 == 0 ? 17'000 : 100),
                              static_cast<char>('a' + i % 26));
      if (random() % 3 != 0) out.output.gather();
      const int n = out.write(piece);
      if (n > 0) sent += piece.substr(0, static_cast<std::size_t>(n));
      if (n < 0) REQUIRE(BIO_should_retry(out.bio));
      if (random() % 4 == 0) out.output.flush();
      if (random() % 3 == 0) arrived += drain(sockets.far);
    }
    while (out.output.flush() == Io::kWantWrite) arrived += drain(sockets.far);
    arrived += drain(sockets.far);
    const bool same = arrived == sent;
    REQUIRE(same);
    REQUIRE(out.output.stuck() == 0);
  }
}

TEST_CASE("tls: gathered flights of any size arrive whole through small sockets") {
  const Cluster cluster;
  TlsContext client = cluster.user();
  TlsContext server = cluster.server();
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    Duct duct(client, server);
    duct.shake_hands();
    const int small = 8 << 10;
    ::setsockopt(duct.client->fd(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    std::string sent, arrived;
    for (int flight = 0; flight < 10; ++flight) {
      std::string bytes(1 + random() % 200'000, '\0');
      for (char& c : bytes) c = static_cast<char>(random());
      sent += bytes;
      std::size_t at = 0, piece = 1;
      Io status = Io::kWantWrite;
      // As a driver does: the pieces, then flush, again whenever there is room.
      while (status != Io::kDone) {
        status = Io::kDone;
        while (status == Io::kDone && at < bytes.size()) {
          const auto rest = as_bytes(bytes).subspan(at);
          const auto put = duct.client->gather(rest.first(std::min(piece, rest.size())));
          status = put.status;
          at += put.bytes;
          if (status == Io::kDone) piece = 1 + random() % 40'000;  // a retry brings the same
        }
        if (status == Io::kDone) status = duct.client->flush();
        REQUIRE((status == Io::kDone || status == Io::kWantWrite));
        Duct::give(duct.to_server, drain(duct.to_client));
        arrived += duct.read_all(*duct.server);
      }
    }
    const bool same = arrived == sent;
    CHECK(same);
  }
}
