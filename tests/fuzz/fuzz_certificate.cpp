// Certificates, requests and identity URIs from a stranger: no crash, and an accepted
// identity has its canonical URI.
#include <cstddef>
#include <cstdint>
#include <string>

#include "src/base/check.hpp"
#include "src/pki/certificate.hpp"
#include "src/pki/csr.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rexec;
  static const pki::Key ca_key = pki::Key::generate();
  static const auto ca = pki::issue_ca(ca_key, "prod", WallTime(Millis(1'790'000'000'000)));
  const std::string_view text = as_text(ByteSpan(data, size));
  const auto uri = pki::parse_identity_uri(text);
  if (uri) check(pki::identity_uri(uri->role, uri->cluster, uri->id) == text, "one spelling");
  const auto certificate = pki::parse_certificate(text);
  if (certificate) {
    static_cast<void>(pki::parse_identity(certificate->get()));
    static_cast<void>(pki::parse_ca(certificate->get()));
    const auto verified = pki::verify_leaf(certificate->get(), ca->get(), WallTime());
    check(!verified.has_value(), "nobody forges a signature");
  }
  static_cast<void>(pki::parse_csr(ByteSpan(data, size)));
  return 0;
}
