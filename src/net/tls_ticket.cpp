// See tls_ticket.hpp.
#include "src/net/tls_ticket.hpp"

#include <openssl/asn1.h>
#include <openssl/err.h>

#include <algorithm>

#include "src/wire/maps.hpp"

namespace rexec::net {
namespace {

constexpr std::uint64_t kVersion = 2;
constexpr int kPeerTag = 3;  // of SSL_SESSION's optional fields, each explicitly tagged

struct Element {
  std::string_view whole;  // with its header
  std::string_view inside;
  int tag = 0;
  int tag_class = 0;
};

// The DER element that `bytes` begin with.
std::optional<Element> first_element(std::string_view bytes) {
  const auto* begin = reinterpret_cast<const unsigned char*>(bytes.data());
  const unsigned char* at = begin;
  long size = 0;
  Element out;
  const int got =
      ASN1_get_object(&at, &size, &out.tag, &out.tag_class, static_cast<long>(bytes.size()));
  if ((got & 0x80) != 0 || (got & 1) != 0) return {};  // not DER
  const auto header = static_cast<std::size_t>(at - begin);
  out.whole = bytes.substr(0, header + static_cast<std::size_t>(size));
  out.inside = out.whole.substr(header);
  return out;
}

std::string sequence_of(std::string_view inside) {
  std::string out(static_cast<std::size_t>(
                      ASN1_object_size(1, static_cast<int>(inside.size()), V_ASN1_SEQUENCE)) -
                      inside.size(),
                  '\0');
  auto* at = reinterpret_cast<unsigned char*>(out.data());
  ASN1_put_object(&at, 1, static_cast<int>(inside.size()), V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
  return out.append(inside);
}

}  // namespace

pki::Digest certificates_id(std::string_view ca, std::string_view own) {
  const pki::Digest first = pki::sha256(as_bytes(ca));
  const pki::Digest second = pki::sha256(as_bytes(own));
  return pki::sha256({first, second});
}

std::string encode_ticket(const TlsTicket& ticket) {
  const pki::Identity& peer = ticket.peer;
  return wire::pack({{"v", kVersion},
                     {"made_with", wire::bin(as_text(ticket.made_with))},
                     {"peer", pki::identity_uri(peer.role, peer.cluster, peer.id)},
                     {"serial", peer.serial},
                     {"from", peer.not_before.time_since_epoch().count()},
                     {"until", peer.not_after.time_since_epoch().count()},
                     {"session", wire::bin(ticket.session)}});
}

std::optional<TlsTicket> decode_ticket(std::string_view bytes) {
  const auto map = wire::parse_map(as_bytes(bytes));
  if (!map || wire::u64_or(*map, "v", 0) != kVersion) return {};
  const std::string made_with = wire::bin_or(*map, "made_with");
  auto peer = pki::parse_identity_uri(wire::text_or(*map, "peer"));
  TlsTicket ticket;
  if (!peer || made_with.size() != ticket.made_with.size()) return {};
  std::copy(made_with.begin(), made_with.end(), ticket.made_with.begin());
  ticket.peer = std::move(*peer);
  ticket.peer.serial = wire::text_or(*map, "serial");
  ticket.peer.not_before = WallTime{Millis{wire::i64_or(*map, "from", 0)}};
  ticket.peer.not_after = WallTime{Millis{wire::i64_or(*map, "until", 0)}};
  ticket.session = wire::bin_or(*map, "session");
  return ticket;
}

std::string without_peer(std::string_view der) {
  const auto session = first_element(der);
  if (!session || session->tag != V_ASN1_SEQUENCE) return std::string(der);
  std::string kept;
  for (std::string_view rest = session->inside; !rest.empty();) {
    const auto field = first_element(rest);
    if (!field) return std::string(der);
    if (field->tag_class != V_ASN1_CONTEXT_SPECIFIC || field->tag != kPeerTag)
      kept.append(field->whole);
    rest.remove_prefix(field->whole.size());
  }
  return sequence_of(kept);
}

std::string encode_session(SSL_SESSION* session) {
  unsigned char* der = nullptr;
  const int size = i2d_SSL_SESSION(session, &der);
  std::string out;
  if (size > 0) out = without_peer({reinterpret_cast<char*>(der), static_cast<std::size_t>(size)});
  OPENSSL_free(der);
  ERR_clear_error();
  return out;
}

}  // namespace rexec::net
