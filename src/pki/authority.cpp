// See authority.hpp.
#include "src/pki/authority.hpp"

#include <unistd.h>

#include "src/base/file.hpp"

namespace rexec::pki {
namespace {

std::string key_path(const std::string& directory) { return directory + "/ca.key"; }
std::string certificate_path(const std::string& directory) { return directory + "/ca.crt"; }

}  // namespace

Result<Authority> Authority::create(const std::string& directory, const std::string& cluster,
                                    WallTime now) {
  // The certificate is written last, so its absence means that an earlier init did not finish.
  if (access(certificate_path(directory).c_str(), F_OK) == 0) {
    return fail(Code::kConflict, "there is a CA already: " + certificate_path(directory));
  }
  Key key = Key::generate();
  auto certificate = issue_ca(key, cluster, now);
  if (!certificate) return std::unexpected(certificate.error());
  auto saved = key.save(key_path(directory), Encoding::kPem);
  if (saved) {
    saved = write_file(certificate_path(directory),
                       encode_certificate(certificate->get(), Encoding::kPem), 0644);
  }
  if (!saved) return std::unexpected(saved.error());
  return Authority(std::move(key), std::move(*certificate), cluster);
}

Result<Authority> Authority::load(const std::string& directory) {
  auto key = Key::load(key_path(directory));
  if (!key) return std::unexpected(key.error());
  auto certificate = load_certificate(certificate_path(directory));
  if (!certificate) return std::unexpected(certificate.error());
  const auto cluster = parse_ca(certificate->get());
  if (!cluster) return std::unexpected(cluster.error());
  if (spki_hash(key->get()) != spki_hash(certificate->get())) {
    return fail(Code::kConfig, directory + ": ca.key and ca.crt do not belong together");
  }
  return Authority(std::move(*key), std::move(*certificate), *cluster);
}

Result<Issued> Authority::issue(const EVP_PKEY* public_key, const LeafOptions& options) const {
  const auto leaf = issue_leaf(key_, certificate_.get(), public_key, options);
  if (!leaf) return std::unexpected(leaf.error());
  auto identity = parse_identity(leaf->get());
  if (!identity) return std::unexpected(identity.error());
  return Issued{encode_certificate(leaf->get()), std::move(*identity), spki_hash(public_key)};
}

}  // namespace rexec::pki
