// Keys, requests and digests.
#include "src/pki/key.hpp"

#include <doctest/doctest.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include "src/base/file.hpp"
#include "src/pki/certificate.hpp"
#include "src/pki/csr.hpp"
#include "tests/unit/base/temp_dir.hpp"
#include "tests/unit/pki/forge.hpp"

using namespace rexec;
using namespace rexec::pki;

namespace {

std::string request_of(EVP_PKEY* key, EVP_PKEY* signer, const EVP_MD* digest) {
  const X509ReqPtr request(X509_REQ_new());
  X509_REQ_set_pubkey(request.get(), key);
  X509_REQ_sign(request.get(), signer, digest);
  unsigned char* der = nullptr;
  const int size = i2d_X509_REQ(request.get(), &der);
  std::string bytes(as_text(ByteSpan(der, static_cast<std::size_t>(size))));
  OPENSSL_free(der);
  return bytes;
}

}  // namespace

TEST_CASE("key: a saved key is 0600 whatever the umask and loads as the same key") {  // FAULTS F16
  const TempDir directory;
  const Key key = Key::generate();
  const mode_t before = umask(0);
  for (const Encoding encoding : {Encoding::kDer, Encoding::kPem}) {
    const std::string path = directory / "k";
    REQUIRE(key.save(path, encoding));
    struct stat status{};
    REQUIRE(stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0600);
    const auto loaded = Key::load(path);
    REQUIRE(loaded);
    CHECK(spki_hash(loaded->get()) == spki_hash(key.get()));
  }
  umask(before);
}

TEST_CASE("key: a key that others can read is refused") {  // FAULTS C9
  const TempDir directory;
  const std::string path = directory / "k";
  REQUIRE(write_file(path, Key::generate().encode(Encoding::kDer), 0644));
  const auto loaded = Key::load(path);
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().code == Code::kKeyExposed);
  CHECK(loaded.error().message.find(path) != std::string::npos);
}

TEST_CASE("key: garbage, trailing bytes and other kinds of key are refused") {
  const std::string der = Key::generate().encode(Encoding::kDer);
  CHECK(Key::parse(der));
  CHECK_FALSE(Key::parse(""));
  CHECK_FALSE(Key::parse("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"));
  CHECK_FALSE(Key::parse(der + "x"));
  CHECK_FALSE(Key::parse(der.substr(0, der.size() - 1)));
  const PkeyPtr p384(EVP_EC_gen("P-384"));
  unsigned char* other = nullptr;
  const int size = i2d_PrivateKey(p384.get(), &other);
  CHECK_FALSE(Key::parse(as_text(ByteSpan(other, static_cast<std::size_t>(size)))));
  OPENSSL_free(other);
}

TEST_CASE("pin: only the pinned CA passes, and the message names both") {  // FAULTS A6
  const Key key = Key::generate();
  const auto ca = issue_ca(key, "prod", wall_now());
  REQUIRE(ca);
  CHECK(check_pin(ca->get(), spki_hash(key.get())));
  const Digest other = spki_hash(Key::generate().get());
  const auto refused = check_pin(ca->get(), other);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::kPinMismatch);
  CHECK(refused.error().message.find(to_hex(other)) != std::string::npos);
}

TEST_CASE("csr: a request proves its key and gives its hash") {
  const Key key = Key::generate();
  const auto der = make_csr(key);
  REQUIRE(der);
  CHECK(der->size() < 512);
  const auto csr = parse_csr(as_bytes(*der));
  REQUIRE(csr);
  CHECK(csr->key_hash == spki_hash(key.get()));
}

TEST_CASE("csr: every changed byte, cut or addition is refused") {
  const std::string good = make_csr(Key::generate()).value();
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    CHECK_FALSE(parse_csr(as_bytes(bad)));
    CHECK_FALSE(parse_csr(as_bytes(good.substr(0, i))));
  }
  CHECK_FALSE(parse_csr(as_bytes(good + "x")));
  CHECK_FALSE(parse_csr(as_bytes(std::string(kMaxCsr + 1, '\x30'))));
}

TEST_CASE("csr: another's signature, other keys and SHA-1 are refused") {  // FAULTS L18
  const Key key = Key::generate();
  const Key other = Key::generate();
  const PkeyPtr rsa = forge::rsa_key();
  REQUIRE(rsa);
  CHECK(parse_csr(as_bytes(request_of(key.get(), key.get(), EVP_sha256()))));
  CHECK_FALSE(parse_csr(as_bytes(request_of(key.get(), other.get(), EVP_sha256()))));
  CHECK_FALSE(parse_csr(as_bytes(request_of(rsa.get(), rsa.get(), EVP_sha256()))));
  CHECK_FALSE(parse_csr(as_bytes(request_of(key.get(), key.get(), EVP_sha1()))));
}

TEST_CASE("digest: known answers") {
  CHECK(to_hex(sha256(as_bytes("abc"))) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256({as_bytes("a"), as_bytes("bc")}) == sha256(as_bytes("abc")));
  CHECK(to_hex(hmac_sha256(as_bytes("Jefe"), {as_bytes("what do ya want "),
                                              as_bytes("for nothing?")})) ==  // RFC 4231, case 2
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(constant_time_equal(as_bytes("ab"), as_bytes("ab")));
  CHECK_FALSE(constant_time_equal(as_bytes("ab"), as_bytes("ac")));
  CHECK_FALSE(constant_time_equal(as_bytes("ab"), as_bytes("abc")));
}
