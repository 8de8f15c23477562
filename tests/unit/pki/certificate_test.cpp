// Certificates: what the CA issues is accepted, and nothing else is.
#include "src/pki/certificate.hpp"

#include <doctest/doctest.h>
#include <openssl/ec.h>

#include "src/base/ids.hpp"
#include "src/pki/authority.hpp"
#include "src/pki/csr.hpp"
#include "src/pki/renew.hpp"
#include "tests/unit/base/temp_dir.hpp"
#include "tests/unit/pki/forge.hpp"

using namespace rexec;
using namespace rexec::pki;
using namespace std::chrono_literals;

namespace {

const WallTime kNow = WallTime(std::chrono::sys_days(std::chrono::year(2026) / 11 / 21)) + 1h;
const std::string kNode = "n-0123456789ab";
const std::string kUser = "u-0123456789ab";

struct Cluster {
  Key key = Key::generate();
  X509Ptr ca;
  explicit Cluster(const std::string& name = "prod") {
    auto made = issue_ca(key, name, kNow);
    REQUIRE(made);
    ca = std::move(*made);
  }
  X509Ptr leaf(Role role, const std::string& id, Millis lifetime = 24h) const {
    const Key own = Key::generate();
    auto made = issue_leaf(key, ca.get(), own.get(), {role, id, kNow, lifetime});
    REQUIRE(made);
    return std::move(*made);
  }
  Result<Identity> verify(const X509Ptr& certificate, WallTime now = kNow,
                          Accept accept = Accept::kValidOnly) const {
    return verify_leaf(certificate.get(), ca.get(), now, accept);
  }
};

forge::Recipe node_recipe() {
  forge::Recipe recipe;
  recipe.uris = {identity_uri(Role::kNode, "prod", kNode)};
  return recipe;
}

void check_refused(const Result<Identity>& result, Code code = Code::kDenied) {
  REQUIRE_FALSE(result);
  CHECK(result.error().code == code);
}

}  // namespace

TEST_CASE("certificate: a leaf of each role verifies and carries its identity") {
  const Cluster cluster;
  struct Row {
    Role role;
    std::string id;
  };
  for (const Row& row : {Row{Role::kNode, kNode}, Row{Role::kUser, kUser},
                         Row{Role::kController, "c-0123456789ab"}}) {
    const auto identity = cluster.verify(cluster.leaf(row.role, row.id));
    REQUIRE(identity);
    CHECK(identity->role == row.role);
    CHECK(identity->id == row.id);
    CHECK(identity->cluster == "prod");
    CHECK(identity->serial.size() == 32);
    CHECK(identity->not_before == kNow - 5min);
    CHECK(identity->not_after == kNow + 24h);
  }
}

TEST_CASE("certificate: two leaves never share a serial") {
  const Cluster cluster;
  const auto a = cluster.verify(cluster.leaf(Role::kNode, kNode));
  const auto b = cluster.verify(cluster.leaf(Role::kNode, kNode));
  CHECK(a->serial != b->serial);
}

TEST_CASE("certificate: DER and PEM give the same certificate back, bytes after it do not") {
  const Cluster cluster;
  const auto leaf = cluster.leaf(Role::kNode, kNode);
  for (const Encoding encoding : {Encoding::kDer, Encoding::kPem}) {
    const auto again = parse_certificate(encode_certificate(leaf.get(), encoding));
    REQUIRE(again);
    CHECK(encode_certificate(again->get()) == encode_certificate(leaf.get()));
  }
  CHECK_FALSE(parse_certificate(encode_certificate(leaf.get()) + "x"));
  CHECK_FALSE(parse_certificate(std::string(kMaxCertificate + 1, '0')));  // FAULTS L4
  CHECK_FALSE(parse_certificate(""));
}

TEST_CASE("certificate: another CA with identical names is refused") {  // FAULTS L6
  const Cluster cluster;
  const Cluster twin;
  check_refused(cluster.verify(twin.leaf(Role::kNode, kNode)));
}

TEST_CASE("certificate: a leaf that names another cluster is refused") {
  const Cluster cluster;
  forge::Recipe recipe;
  recipe.uris = {identity_uri(Role::kNode, "other", kNode)};
  check_refused(cluster.verify(forge::leaf(cluster.key, cluster.ca.get(), kNow, recipe)));
}

TEST_CASE("certificate: expired and not yet valid are refused with both clocks") {  // FAULTS L7
  const Cluster cluster;
  const auto leaf = cluster.leaf(Role::kNode, kNode);
  const auto late = cluster.verify(leaf, kNow + 24h + 1s);
  check_refused(late, Code::kExpired);
  CHECK(late.error().message.find("2026-11-22T01:00:00") != std::string::npos);
  CHECK(late.error().message.find("2026-11-22T01:00:01") != std::string::npos);
  const auto early = cluster.verify(leaf, kNow - 1h);
  check_refused(early, Code::kExpired);
  CHECK(early.error().message.find("2026-11-21T00:55:00") != std::string::npos);
  CHECK(early.error().message.find("2026-11-21T00:00:00") != std::string::npos);
}

TEST_CASE("certificate: a clock four minutes behind still accepts a fresh leaf") {  // FAULTS L17
  const Cluster cluster;
  CHECK(cluster.verify(cluster.leaf(Role::kUser, kUser), kNow - 4min));
}

TEST_CASE("certificate: an expired leaf may renew for 30 days and not a second more") {
  const Cluster cluster;
  const auto leaf = cluster.leaf(Role::kNode, kNode);
  const WallTime end = kNow + 24h;
  const auto renewing = cluster.verify(leaf, end + 24h * 30, Accept::kExpiredToo);
  REQUIRE(renewing);
  CHECK(is_expired(*renewing, end + 1s));
  check_refused(cluster.verify(leaf, end + 24h * 30 + 1s, Accept::kExpiredToo), Code::kExpired);
}

TEST_CASE("certificate: a leaf signed by a leaf is refused") {  // FAULTS L8
  const Cluster cluster;
  const Key own = Key::generate();
  const auto middle =
      issue_leaf(cluster.key, cluster.ca.get(), own.get(), {Role::kNode, kNode, kNow, 24h});
  REQUIRE(middle);
  check_refused(cluster.verify(forge::leaf(own, middle->get(), kNow, node_recipe())));
  check_refused(cluster.verify(forge::leaf(own, cluster.ca.get(), kNow, node_recipe())));
}

TEST_CASE("certificate: the forger's plain recipe is accepted, so each refusal below is its own") {
  const Cluster cluster;
  CHECK(cluster.verify(forge::leaf(cluster.key, cluster.ca.get(), kNow, node_recipe())));
}

TEST_CASE("certificate: a CA:TRUE leaf and a wrong usage are refused") {  // FAULTS L8
  const Cluster cluster;
  const auto verify = [&](const forge::Recipe& recipe) {
    return cluster.verify(forge::leaf(cluster.key, cluster.ca.get(), kNow, recipe));
  };
  forge::Recipe recipe = node_recipe();
  recipe.basic = "critical,CA:TRUE";
  check_refused(verify(recipe));
  recipe.basic = "";
  check_refused(verify(recipe));
  recipe = node_recipe();
  recipe.usage = "critical,digitalSignature,keyCertSign";
  check_refused(verify(recipe));
  recipe.usage = "";
  check_refused(verify(recipe));
  recipe = node_recipe();
  recipe.extended = "serverAuth,clientAuth";
  check_refused(verify(recipe));
  recipe.extended = "";
  check_refused(verify(recipe));
}

TEST_CASE("certificate: a node's leaf with the controller's usage or id is refused") {
  const Cluster cluster;
  forge::Recipe recipe;
  recipe.uris = {identity_uri(Role::kController, "prod", "c-0123456789ab")};
  check_refused(cluster.verify(forge::leaf(cluster.key, cluster.ca.get(), kNow, recipe)));
}

TEST_CASE("certificate: anything but one canonical URI is refused") {  // FAULTS L16
  const Cluster cluster;
  const std::string good = identity_uri(Role::kNode, "prod", kNode);
  const std::vector<std::vector<std::string>> bad = {
      {},
      {good, good},
      {good, identity_uri(Role::kUser, "prod", kUser)},
      {good + std::string(1, '\0')},
      {good + std::string("\0/x", 3)},
      {"rexec://prod/node/*"},
      {"rexec://*/node/" + kNode},
      {"rexec://prod/node/" + std::string(65536, 'a')},
      {"rexec://prod/node/" + kUser},
      {"rexec://prod/admin/" + kUser},
      {"rexec://prod/node/" + kNode + "/"},
      {"REXEC://prod/node/" + kNode},
      {"https://prod/node/" + kNode},
      {"rexec:///node/" + kNode},
      {""},
  };
  for (const auto& uris : bad) {
    forge::Recipe recipe;
    recipe.uris = uris;
    const auto leaf = forge::leaf(cluster.key, cluster.ca.get(), kNow, recipe);
    CHECK_FALSE(parse_identity(leaf.get()));
    check_refused(cluster.verify(leaf));
  }
  forge::Recipe recipe = node_recipe();
  recipe.dns = "prod.example";
  check_refused(cluster.verify(forge::leaf(cluster.key, cluster.ca.get(), kNow, recipe)));
}

TEST_CASE("certificate: RSA keys, other curves and SHA-1 signatures are refused") {  // FAULTS L18
  const Cluster cluster;
  const PkeyPtr rsa = forge::rsa_key();
  REQUIRE(rsa);
  const PkeyPtr p384(EVP_EC_gen("P-384"));
  forge::Recipe recipe = node_recipe();
  recipe.subject_key = rsa.get();
  check_refused(cluster.verify(forge::leaf(cluster.key, cluster.ca.get(), kNow, recipe)));
  recipe.subject_key = p384.get();
  check_refused(cluster.verify(forge::leaf(cluster.key, cluster.ca.get(), kNow, recipe)));
  recipe = node_recipe();
  recipe.digest = EVP_sha1();
  check_refused(cluster.verify(forge::leaf(cluster.key, cluster.ca.get(), kNow, recipe)));
}

TEST_CASE("certificate: a leaf is no CA and a CA is no leaf") {
  const Cluster cluster;
  CHECK(parse_ca(cluster.ca.get()).value() == "prod");
  CHECK_FALSE(parse_ca(cluster.leaf(Role::kNode, kNode).get()));
  CHECK_FALSE(verify_leaf(cluster.ca.get(), cluster.ca.get(), kNow));
  CHECK_FALSE(issue_ca(cluster.key, "bad name", kNow));
}

TEST_CASE("authority: a CA is made once, loaded again, and signs a request") {
  const TempDir directory;
  const auto made = Authority::create(directory.path, "prod", kNow);
  REQUIRE(made);
  const auto again = Authority::create(directory.path, "prod", kNow);
  REQUIRE_FALSE(again);
  CHECK(again.error().code == Code::kConflict);
  const auto loaded = Authority::load(directory.path);
  REQUIRE(loaded);
  CHECK(loaded->pin() == made->pin());
  const auto csr = parse_csr(as_bytes(make_csr(Key::generate()).value()));
  REQUIRE(csr);
  const auto issued = loaded->issue(csr->public_key.get(), {Role::kNode, kNode, kNow, 24h});
  REQUIRE(issued);
  const auto leaf = parse_certificate(issued->der);
  CHECK(verify_leaf(leaf->get(), made->certificate(), kNow)->serial == issued->identity.serial);
  CHECK(issued->key_hash == csr->key_hash);
}

TEST_CASE("authority: a CA key that does not fit its certificate is refused") {
  const TempDir directory;
  REQUIRE(Authority::create(directory.path, "prod", kNow));
  REQUIRE(Key::generate().save(directory / "ca.key"));
  CHECK_FALSE(Authority::load(directory.path));
}

TEST_CASE("renew: half the life, ± 10 %, and never later than the end") {
  const Cluster cluster;
  const auto identity = cluster.verify(cluster.leaf(Role::kNode, kNode));
  CHECK(renew_at(*identity, 0.0) == kNow + 720min * 9 / 10);
  CHECK(renew_at(*identity, 0.5) == kNow + 12h);
  CHECK(renew_at(*identity, 0.9999) < kNow + 720min * 11 / 10);
  const auto brief = cluster.verify(cluster.leaf(Role::kNode, kNode, 10s));
  CHECK(renew_at(*brief, 0.5) == kNow + 5s);
}

TEST_CASE("renew: retries back off to ten minutes with full jitter") {
  CHECK(renew_retry(0, 0.999) == 1s);
  CHECK(renew_retry(5, 0.5) == 16s);
  CHECK(renew_retry(5, 0.0) == 1s);
  CHECK(renew_retry(4'000'000'000, 1.0) == 10min);
}
