// Join tokens and tickets: text that travels through people and nodes and must come back whole.
#include "src/pki/token.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "src/pki/ticket.hpp"
#include "tests/unit/base/temp_dir.hpp"

using namespace rexec;
using namespace rexec::pki;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view kAlphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCXYZ_-+/=. *";

JoinToken sample() {
  JoinToken token;
  token.addresses = {"127.0.0.1:7443", "[2001:db8::1]:7443", "controller.example:7443"};
  token.ca_pin = sha256(as_bytes("ca"));
  token.id = "t-0123456789ab";
  return token;
}

TicketClaims claims() {
  TicketClaims made;
  made.attempt = {JobId{"j-0123456789ab"}, 3};
  made.owner = UserId{"u-0123456789ab"};
  made.node = NodeId{"n-0123456789ab"};
  made.request = "00112233445566778899aabbccddeeff";
  made.run = RunId{"r-0123456789ab"};
  made.accepted = WallTime(1'790'000'000'123ms);
  return made;
}

}  // namespace

TEST_CASE("token: what was put in comes out, white space around it aside") {
  const JoinToken token = sample();
  const std::string text = encode_token(token).value();
  CHECK(text.starts_with("rx1_"));
  const auto parsed = parse_token("  " + text + "\r\n");
  REQUIRE(parsed);
  CHECK(parsed->kind == token.kind);
  CHECK(parsed->addresses == token.addresses);
  CHECK(parsed->ca_pin == token.ca_pin);
  CHECK(parsed->id == token.id);
  CHECK(constant_time_equal(parsed->secret.bytes(), token.secret.bytes()));
}

TEST_CASE("token: any single character changed, lost or added is caught") {  // FAULTS A7
  const std::string text = encode_token(sample()).value();
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (const char c : kAlphabet) {
      std::string bad = text;
      bad[i] = c;
      if (bad == text) continue;
      const auto parsed = parse_token(bad);
      REQUIRE_FALSE(parsed);
      REQUIRE(parsed.error().code == Code::kTokenBad);
    }
    REQUIRE_FALSE(parse_token(text.substr(0, i)));
    REQUIRE_FALSE(parse_token(text.substr(0, i) + text.substr(i + 1)));
    REQUIRE_FALSE(parse_token(text.substr(0, i) + "7" + text.substr(i)));
  }
}

TEST_CASE("token: two neighbours swapped are caught") {
  const std::string text = encode_token(sample()).value();
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    std::string bad = text;
    std::swap(bad[i], bad[i + 1]);
    if (bad != text) REQUIRE_FALSE(parse_token(bad));
  }
}

TEST_CASE("token: neither errors nor descriptions quote the secret") {
  const JoinToken token = sample();
  const std::string text = encode_token(token).value();
  CHECK(describe_token(token) ==
        "node token t-0123456789ab for 127.0.0.1:7443, [2001:db8::1]:7443, "
        "controller.example:7443");
  const auto parsed = parse_token(text.substr(0, text.size() - 1) + "!");
  REQUIRE_FALSE(parsed);
  CHECK(parsed.error().message.find(text.substr(10, 8)) == std::string::npos);
}

TEST_CASE("token: an address must be HOST:PORT") {
  for (const char* good : {"a:1", "10.0.0.1:65535", "[::1]:7443", "[fe80::1%eth0]:7443"}) {
    CHECK(check_address(good));
  }
  for (const char* bad : {"", "a", ":1", "a:", "a:0", "a:65536", "a:1x", "a b:1", "::1:7443",
                          "a:-1", "[]:1", "a\n:1", "a: 1"}) {
    CHECK_FALSE(check_address(bad));
  }
  JoinToken token = sample();
  token.addresses = {"nonsense"};
  CHECK_FALSE(encode_token(token));
  token.addresses.clear();
  CHECK_FALSE(encode_token(token));
}

TEST_CASE("token: a proof fits one secret, one session and one request") {
  const TokenSecret secret = TokenSecret::random();
  const std::string exporter(32, 'e');
  const Digest proof = enrol_proof(secret, as_bytes(exporter), as_bytes("csr"));
  const auto matches = [&](const TokenSecret& s, std::string_view e, std::string_view c) {
    return enrol_proof_matches(s, as_bytes(e), as_bytes(c), proof);
  };
  CHECK(matches(secret, exporter, "csr"));
  CHECK_FALSE(matches(TokenSecret::random(), exporter, "csr"));
  CHECK_FALSE(matches(secret, std::string(32, 'f'), "csr"));
  CHECK_FALSE(matches(secret, exporter, "csR"));
  CHECK_FALSE(enrol_proof_matches(secret, as_bytes(exporter), as_bytes("csr"), {}));
}

TEST_CASE("ticket: its claims come back whole under the same key") {
  const TicketKey key = TicketKey::random();
  for (const RunId& run : {RunId{"r-0123456789ab"}, RunId{}}) {
    TicketClaims made = claims();
    made.run = run;
    const std::string text = key.seal(made);
    CHECK(text.size() <= kMaxTicket);
    const auto opened = key.open(text);
    REQUIRE(opened);
    CHECK(opened->attempt == made.attempt);
    CHECK(opened->owner == made.owner);
    CHECK(opened->node == made.node);
    CHECK(opened->request == made.request);
    CHECK(opened->run == made.run);
    CHECK(opened->accepted == made.accepted);
  }
}

TEST_CASE("ticket: any changed character and any other key are refused") {
  const TicketKey key = TicketKey::random();
  const std::string text = key.seal(claims());
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string bad = text;
    bad[i] = bad[i] == '7' ? '8' : '7';
    REQUIRE_FALSE(key.open(bad));
    REQUIRE_FALSE(key.open(text.substr(0, i)));
  }
  const auto other = TicketKey::random().open(text);
  REQUIRE_FALSE(other);
  CHECK(other.error().code == Code::kDenied);
  CHECK_FALSE(key.open(std::string(100'000, '0')));
}

TEST_CASE("ticket: the key file is made once and read again") {
  const TempDir directory;
  const auto made = TicketKey::load_or_make(directory / "ticket.key");
  REQUIRE(made);
  const auto again = TicketKey::load_or_make(directory / "ticket.key");
  REQUIRE(again);
  CHECK(again->open(made->seal(claims())));
}
