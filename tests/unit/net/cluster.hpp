// A cluster's CA in memory and credentials of every kind from it, for tests of TLS.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "src/net/tls.hpp"
#include "src/pki/certificate.hpp"

namespace rexec::net::test {

using namespace std::chrono_literals;

inline const std::string kController = "c-0123456789ab";
inline const std::string kNode = "n-0123456789ab";
inline const std::string kUser = "u-0123456789ab";

struct Validity {
  Millis age{0};  // how long ago it was issued
  Millis lifetime{24h};
};

struct Cluster {
  pki::Key key = pki::Key::generate();
  pki::X509Ptr ca;

  explicit Cluster(const std::string& name = "prod") {
    auto made = pki::issue_ca(key, name, wall_now() - 24h * 365);
    REQUIRE(made.has_value());
    ca = std::move(*made);
  }
  std::string ca_der() const { return pki::encode_certificate(ca.get()); }
  std::string pin() const { return std::string(as_text(pki::spki_hash(ca.get()))); }

  Credentials credentials(pki::Role role, const std::string& id, Validity validity = {}) const {
    const pki::Key own = pki::Key::generate();
    const pki::LeafOptions options{role, id, wall_now() - validity.age, validity.lifetime};
    auto leaf = pki::issue_leaf(key, ca.get(), own.get(), options);
    REQUIRE(leaf.has_value());
    return {ca_der(), pki::encode_certificate(leaf->get()), own.encode(pki::Encoding::kDer)};
  }
  TlsContext server(Validity validity = {}) const {
    return use(TlsContext::server(credentials(pki::Role::kController, kController, validity)));
  }
  TlsContext client(pki::Role role, const std::string& id, Validity validity = {}) const {
    return use(TlsContext::client(credentials(role, id, validity)));
  }
  TlsContext user() const { return client(pki::Role::kUser, kUser); }
  TlsContext node() const { return client(pki::Role::kNode, kNode); }
  TlsContext stranger() const { return use(TlsContext::stranger(pin())); }
  static TlsContext use(Result<TlsContext> context) {
    REQUIRE(context.has_value());
    return std::move(*context);
  }
};

}  // namespace rexec::net::test
