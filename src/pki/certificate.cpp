// Reading and writing certificates (certificate.hpp), and what one claims. Whether the claim holds
// is certificate_verify.cpp.
#include "src/pki/certificate.hpp"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <optional>

#include "src/base/check.hpp"
#include "src/base/file.hpp"
#include "src/base/ids.hpp"

namespace rexec::pki {
namespace {

struct FreeBio {
  void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};
using BioPtr = std::unique_ptr<BIO, FreeBio>;
struct FreeNames {
  void operator()(GENERAL_NAMES* names) const noexcept { GENERAL_NAMES_free(names); }
};

constexpr int kMaxSerial = 20;  // RFC 5280, 4.1.2.2

std::unexpected<Error> refused(std::string why) {
  openssl_error();
  return fail(Code::kDenied, "the certificate is refused: " + std::move(why));
}

std::string_view text_of(const ASN1_STRING* string) {
  return as_text(ByteSpan(ASN1_STRING_get0_data(string),
                          static_cast<std::size_t>(ASN1_STRING_length(string))));
}

std::optional<WallTime> wall_time(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  return WallTime(std::chrono::seconds(timegm(&parts)));
}

// The text of the one subjectAltName there may be.
Result<std::string> single_uri(const X509* certificate) {
  int critical = 0;
  const std::unique_ptr<GENERAL_NAMES, FreeNames> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, nullptr)));
  if (!names) return refused(critical == -2 ? "two subjectAltNames" : "no subjectAltName");
  if (sk_GENERAL_NAME_num(names.get()) != 1) return refused("not exactly one subjectAltName");
  const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), 0);
  if (name->type != GEN_URI) return refused("its subjectAltName is no URI");
  return std::string(text_of(name->d.uniformResourceIdentifier));
}

Result<std::string> serial_of(const X509* certificate) {
  const ASN1_INTEGER* serial = X509_get0_serialNumber(certificate);
  const int size = ASN1_STRING_length(serial);
  if (ASN1_STRING_type(serial) != V_ASN1_INTEGER || size < 1 || size > kMaxSerial) {
    return refused("a bad serial number");
  }
  return to_hex(as_bytes(text_of(serial)));
}

}  // namespace

Result<X509Ptr> parse_certificate(std::string_view bytes) {
  prepare_openssl();
  if (bytes.size() > kMaxCertificate) return refused("larger than 16 KiB");
  if (bytes.starts_with("-----BEGIN")) {
    const BioPtr bio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
    X509Ptr parsed(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (!parsed) return refused("not PEM");
    return parsed;
  }
  const unsigned char* at = as_bytes(bytes).data();
  const unsigned char* const end = at + bytes.size();
  X509Ptr parsed(d2i_X509(nullptr, &at, static_cast<long>(bytes.size())));
  if (!parsed || at != end) return refused("not one DER certificate");
  return parsed;
}

Result<X509Ptr> load_certificate(const std::string& path) {
  const auto bytes = read_file(path, kMaxCertificate);
  if (!bytes) return std::unexpected(bytes.error());
  auto parsed = parse_certificate(*bytes);
  if (!parsed) return fail(Code::kConfig, path + ": " + parsed.error().message);
  return parsed;
}

std::string encode_certificate(const X509* certificate, Encoding encoding) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  const int ok = encoding == Encoding::kPem ? PEM_write_bio_X509(bio.get(), certificate)
                                            : i2d_X509_bio(bio.get(), certificate);
  check(ok == 1, "a certificate can be written");
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

Result<Identity> parse_identity(const X509* certificate) {
  if (X509_get_version(certificate) != X509_VERSION_3) return refused("not version 3");
  if (!is_p256(X509_get0_pubkey(certificate))) return refused("its key is not P-256");
  if (X509_get_signature_nid(certificate) != NID_ecdsa_with_SHA256) {
    return refused("its signature is not ECDSA with SHA-256");
  }
  const auto uri = single_uri(certificate);
  if (!uri) return std::unexpected(uri.error());
  auto identity = parse_identity_uri(*uri);
  if (!identity) return identity;
  auto serial = serial_of(certificate);
  if (!serial) return std::unexpected(serial.error());
  const auto from = wall_time(X509_get0_notBefore(certificate));
  const auto to = wall_time(X509_get0_notAfter(certificate));
  if (!from || !to || *to < *from) return refused("its validity is no span of time");
  identity->serial = std::move(*serial);
  identity->not_before = *from;
  identity->not_after = *to;
  return identity;
}

bool is_expired(const Identity& identity, WallTime now) { return now > identity.not_after; }

}  // namespace rexec::pki
