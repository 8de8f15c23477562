// The controller as its own CA: key and certificate in the data directory, and the one call that
// signs a request. Only the controller uses it; who may have which certificate is decided before
// (src/store/tables/enrolment.hpp).
#pragma once

#include <string>

#include "src/pki/certificate.hpp"
#include "src/pki/csr.hpp"

namespace rexec::pki {

struct Issued {
  std::string der;
  Identity identity;
  Digest key_hash;
};

class Authority {
 public:
  // Makes `ca.key` (0600) and `ca.crt` in the directory; kConflict when there is a CA already.
  static Result<Authority> create(const std::string& directory, const std::string& cluster,
                                  WallTime now);
  static Result<Authority> load(const std::string& directory);

  Result<Issued> issue(const EVP_PKEY* public_key, const LeafOptions& options) const;
  const std::string& cluster() const { return cluster_; }
  const X509* certificate() const { return certificate_.get(); }
  Digest pin() const { return spki_hash(certificate_.get()); }

 private:
  Authority(Key key, X509Ptr certificate, std::string cluster)
      : key_(std::move(key)), certificate_(std::move(certificate)), cluster_(std::move(cluster)) {}
  Key key_;
  X509Ptr certificate_;
  std::string cluster_;
};

}  // namespace rexec::pki
