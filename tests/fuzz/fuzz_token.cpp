// Join tokens and tickets from a stranger's text: whatever it is, no crash, and what is accepted
// encodes to the same text.
#include <cstddef>
#include <cstdint>
#include <string>

#include "src/base/check.hpp"
#include "src/pki/ticket.hpp"
#include "src/pki/token.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rexec;
  static const pki::TicketKey key = pki::TicketKey::random();
  const std::string text(as_text(ByteSpan(data, size)));
  const auto token = pki::parse_token(text);
  if (token) {
    const auto again = pki::encode_token(*token);
    check(again.has_value(), "a parsed token can be encoded");
    check(text.find(*again) != std::string::npos, "and is the same text");
    check(!pki::describe_token(*token).empty(), "and described");
  }
  check(!key.open(text).has_value(), "nobody guesses a ticket");
  static_cast<void>(pki::check_address(text));
  return 0;
}
