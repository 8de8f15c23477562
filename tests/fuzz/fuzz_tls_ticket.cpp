// A file of a TLS ticket that somebody has damaged: no crash, what is accepted comes back the same,
// and the certificate's removal ends whatever the bytes.
#include <cstddef>
#include <cstdint>
#include <string>

#include "src/base/bytes.hpp"
#include "src/base/check.hpp"
#include "src/net/tls_ticket.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rexec;
  const std::string_view bytes = as_text(ByteSpan(data, size));
  const std::string stripped = net::without_peer(bytes);
  check(net::without_peer(stripped) == stripped, "there is one certificate at most");
  const auto ticket = net::decode_ticket(bytes);
  if (!ticket) return 0;
  const auto again = net::decode_ticket(net::encode_ticket(*ticket));
  check(again.has_value(), "a ticket that was read can be written");
  check(again->session == ticket->session && again->peer.id == ticket->peer.id, "and is the same");
  return 0;
}
