// See token.hpp.
#include "src/pki/token.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>

#include "src/base/bytes.hpp"
#include "src/base/ids.hpp"
#include "src/base/text.hpp"

namespace rexec::pki {
namespace {

constexpr std::string_view kPrefix = "rx1_";
constexpr std::string_view kProofDomain = "rexec enrol 1";
constexpr std::size_t kMaxAddresses = 8;
constexpr std::size_t kMaxAddress = 255;
constexpr std::size_t kIdSize = 12;  // without its "t-"
constexpr std::size_t kSecretSize = 16;
constexpr std::size_t kCrcSize = 4;
constexpr std::uint8_t kVersion = 1;

// CRC-32 (IEEE 802.3), bit by bit: tokens are short and rare.
std::uint32_t crc32(std::string_view bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const char byte : bytes) {
    crc ^= static_cast<std::uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0xedb88320U & (0U - (crc & 1U)));
  }
  return ~crc;
}

std::unexpected<Error> bad(std::string_view why) {
  return fail(Code::kTokenBad, "the token is damaged: " + std::string(why),
              "copy all of it, from rx1_ to its end");
}

// Takes fields off the front; a short payload makes every further take fail.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  std::string_view take(std::size_t size) {
    ok_ = ok_ && size <= rest_.size();
    if (!ok_) return {};
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  std::uint8_t take_byte() {
    const std::string_view byte = take(1);
    return byte.empty() ? 0 : static_cast<std::uint8_t>(byte[0]);
  }
  bool finished() const { return ok_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

bool is_host(std::string_view host) {
  const bool v6 = host.size() > 2 && host.front() == '[' && host.back() == ']';
  const std::string_view name = v6 ? host.substr(1, host.size() - 2) : host;
  return !name.empty() && std::ranges::all_of(name, [&](char c) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '.' || c == '-' || c == '_';
    return plain || (v6 && (c == ':' || c == '%'));
  });
}

Result<JoinToken> parse_payload(std::string_view payload) {
  Reader reader(payload);
  if (reader.take_byte() != kVersion) return bad("made by a newer rexec?");
  JoinToken token;
  const std::uint8_t kind = reader.take_byte();
  if (kind > 1) return bad("unknown kind");
  token.kind = kind == 0 ? TokenKind::kNode : TokenKind::kUser;
  const std::uint8_t count = reader.take_byte();
  if (count == 0 || count > kMaxAddresses) return bad("no address, or too many");
  for (std::uint8_t i = 0; i < count; ++i) {
    token.addresses.emplace_back(reader.take(reader.take_byte()));
    if (!check_address(token.addresses.back())) return bad("a bad address");
  }
  std::ranges::copy(as_bytes(reader.take(token.ca_pin.size())), token.ca_pin.begin());
  token.id = "t-" + std::string(reader.take(kIdSize));
  const std::string_view secret = reader.take(kSecretSize);
  if (!reader.finished() || !is_id(token.id, 't')) return bad("fields are missing");
  auto parsed = TokenSecret::from_bytes(as_bytes(secret));
  if (!parsed) return std::unexpected(parsed.error());
  token.secret = *parsed;
  return token;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

}  // namespace

TokenSecret TokenSecret::random() {
  TokenSecret secret;
  random_bytes(secret.bytes_);
  return secret;
}

Result<TokenSecret> TokenSecret::from_bytes(ByteSpan bytes) {
  TokenSecret secret;
  if (bytes.size() != secret.bytes_.size()) return bad("its secret has a wrong size");
  std::ranges::copy(bytes, secret.bytes_.begin());
  return secret;
}

TokenSecret::~TokenSecret() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

Result<void> check_address(std::string_view address) {
  const std::size_t colon = address.rfind(':');
  const auto refused = [&] {
    return fail(Code::kUsage, "\"" + printable(address.substr(0, 64)) + "\" is not HOST:PORT",
                "write 10.0.0.1:7443, name:7443 or [2001:db8::1]:7443");
  };
  if (address.size() > kMaxAddress || colon == std::string_view::npos) return refused();
  const std::string_view port = address.substr(colon + 1);
  unsigned number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size()) return refused();
  if (number < 1 || number > 65535 || !is_host(address.substr(0, colon))) return refused();
  return {};
}

Result<std::string> encode_token(const JoinToken& token) {
  if (token.addresses.empty() || token.addresses.size() > kMaxAddresses) {
    return fail(Code::kUsage, "a token needs 1 to 8 addresses");
  }
  if (!is_id(token.id, 't')) return fail(Code::kUsage, "a token's id is t- and 12 characters");
  std::string bytes;
  bytes += static_cast<char>(kVersion);
  bytes += static_cast<char>(token.kind == TokenKind::kNode ? 0 : 1);
  bytes += static_cast<char>(token.addresses.size());
  for (const std::string& address : token.addresses) {
    if (auto ok = check_address(address); !ok) return std::unexpected(ok.error());
    bytes += static_cast<char>(address.size());
    bytes += address;
  }
  bytes.append(as_text(token.ca_pin));
  bytes += token.id.substr(2);
  bytes.append(as_text(token.secret.bytes()));
  std::array<std::uint8_t, kCrcSize> crc;
  store_be(crc.data(), crc32(bytes));
  bytes.append(as_text(crc));
  std::string text = std::string(kPrefix) + to_base32(as_bytes(bytes));
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return text;
}

Result<JoinToken> parse_token(std::string_view text) {
  text = trim(text);
  if (text.empty()) return bad("it is empty");
  if (text.size() > kMaxToken) return bad("it is too long");
  if (!text.starts_with(kPrefix)) return bad("a token begins with rx1_");
  const std::string_view body = text.substr(kPrefix.size());
  std::string bytes;
  if (!from_base32(body, bytes) || to_base32(as_bytes(bytes)) != body) {
    return bad("it has a character that no token has");
  }
  if (bytes.size() <= kCrcSize) return bad("too short");
  const std::string_view all = bytes;
  const std::string_view payload = all.substr(0, all.size() - kCrcSize);
  const auto sum = load_be<std::uint32_t>(as_bytes(all).data() + payload.size());
  auto token = crc32(payload) == sum ? parse_payload(payload) : bad("its checksum differs");
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return token;
}

std::string describe_token(const JoinToken& token) {
  std::string text = token.kind == TokenKind::kNode ? "node token " : "user token ";
  text += token.id + " for ";
  for (const std::string& address : token.addresses) {
    if (&address != &token.addresses.front()) text += ", ";
    text += printable(address);
  }
  return text;
}

Digest enrol_proof(const TokenSecret& secret, ByteSpan exporter, ByteSpan csr_der) {
  const Digest request = sha256(csr_der);
  return hmac_sha256(secret.bytes(), {as_bytes(kProofDomain), exporter, request});
}

bool enrol_proof_matches(const TokenSecret& secret, ByteSpan exporter, ByteSpan csr_der,
                         ByteSpan proof) {
  const Digest expected = enrol_proof(secret, exporter, csr_der);
  return constant_time_equal(expected, proof);
}

}  // namespace rexec::pki
