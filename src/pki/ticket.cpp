// See ticket.hpp. Layout before base32: version u8 = 1 · attempt u32 · accepted u64 (wall ms) ·
// job, owner, node, run: 14 bytes each, as text, run all zero for none · request u8 length + bytes
// · HMAC-SHA256 of all that.
#include "src/pki/ticket.hpp"

#include <openssl/crypto.h>
#include <unistd.h>

#include <algorithm>

#include "src/base/bytes.hpp"
#include "src/base/check.hpp"
#include "src/base/file.hpp"
#include "src/pki/digest.hpp"

namespace rexec::pki {
namespace {

constexpr std::string_view kPrefix = "k1_";
constexpr std::string_view kDomain = "rexec ticket 1";
constexpr std::size_t kIdSize = 14;
constexpr std::size_t kFixedSize = 1 + 4 + 8 + 4 * kIdSize + 1;
constexpr std::size_t kMaxRequest = 64;
const std::string kNoRun(kIdSize, '\0');

template <class T>
void append_be(std::string& to, T value) {
  std::uint8_t bytes[sizeof(T)];
  store_be(bytes, value);
  to.append(as_text(bytes));
}

Digest seal_of(ByteSpan key, std::string_view payload) {
  return hmac_sha256(key, {as_bytes(kDomain), as_bytes(payload)});
}

// The claims of a payload whose seal was right: it is ours, so a mistake in it is ours too, but a
// stolen old key must not crash us.
Result<TicketClaims> parse_payload(std::string_view payload) {
  const auto refused = fail(Code::kDenied, "the ticket is malformed");
  if (payload.size() < kFixedSize || payload[0] != 1) return refused;
  const std::uint8_t* at = as_bytes(payload).data();
  TicketClaims claims;
  claims.attempt.attempt = load_be<std::uint32_t>(at + 1);
  claims.accepted = WallTime(Millis(static_cast<std::int64_t>(load_be<std::uint64_t>(at + 5))));
  const auto id = [&](std::size_t n) {
    return std::string(payload.substr(13 + n * kIdSize, kIdSize));
  };
  claims.attempt.job.text = id(0);
  claims.owner.text = id(1);
  claims.node.text = id(2);
  if (id(3) != kNoRun) claims.run.text = id(3);
  claims.request = payload.substr(kFixedSize);
  const bool ids = is_id(id(0), 'j') && is_id(id(1), 'u') && is_id(id(2), 'n') &&
                   (claims.run.empty() || is_id(id(3), 'r'));
  if (!ids || at[kFixedSize - 1] != claims.request.size()) return refused;
  return claims;
}

}  // namespace

TicketKey TicketKey::random() {
  TicketKey key;
  random_bytes(key.bytes_);
  return key;
}

Result<TicketKey> TicketKey::load_or_make(const std::string& path) {
  TicketKey key;
  if (access(path.c_str(), F_OK) != 0) {
    key = random();
    auto written = write_file(path, as_text(key.bytes_), 0600);
    if (!written) return std::unexpected(written.error());
    return key;
  }
  auto bytes = read_secret_file(path);
  if (!bytes) return std::unexpected(bytes.error());
  if (bytes->size() != key.bytes_.size()) {
    return fail(Code::kConfig, path + ": not a ticket key (32 bytes)");
  }
  std::ranges::copy(as_bytes(*bytes), key.bytes_.begin());
  OPENSSL_cleanse(bytes->data(), bytes->size());
  return key;
}

TicketKey::~TicketKey() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

std::string TicketKey::seal(const TicketClaims& claims) const {
  check(is_id(claims.attempt.job.text, 'j'), "a ticket is for a job");
  check(is_id(claims.owner.text, 'u'), "a ticket has an owner");
  check(is_id(claims.node.text, 'n'), "a ticket is for a node");
  check(claims.run.empty() || is_id(claims.run.text, 'r'), "a ticket's run is one");
  check(claims.request.size() <= kMaxRequest, "a request id is bounded");
  std::string payload(1, '\1');
  append_be(payload, claims.attempt.attempt);
  append_be(payload, static_cast<std::uint64_t>(claims.accepted.time_since_epoch().count()));
  payload += claims.attempt.job.text + claims.owner.text + claims.node.text;
  payload += claims.run.empty() ? kNoRun : claims.run.text;
  payload += static_cast<char>(claims.request.size());
  payload += claims.request;
  const Digest mac = seal_of(bytes_, payload);
  payload.append(as_text(mac));
  return std::string(kPrefix) + to_base32(as_bytes(payload));
}

Result<TicketClaims> TicketKey::open(std::string_view ticket) const {
  std::string bytes;
  if (ticket.size() > kMaxTicket || !ticket.starts_with(kPrefix) ||
      !from_base32(ticket.substr(kPrefix.size()), bytes) || bytes.size() < sizeof(Digest)) {
    return fail(Code::kDenied, "the ticket is malformed");
  }
  const std::string_view all = bytes;
  const std::string_view payload = all.substr(0, all.size() - sizeof(Digest));
  const Digest mac = seal_of(bytes_, payload);
  if (!constant_time_equal(mac, as_bytes(all.substr(payload.size())))) {
    return fail(Code::kDenied, "the ticket was not made by this controller");
  }
  return parse_payload(payload);
}

}  // namespace rexec::pki
