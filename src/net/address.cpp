#include "src/net/address.hpp"

#include <charconv>

namespace rexec::net {

Result<std::pair<std::string, std::uint16_t>> split_address(const std::string& address) {
  const auto colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0)
    return fail(Code::kUsage, "address \"" + address + "\" is not HOST:PORT",
                "for instance 127.0.0.1:7443");
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  std::uint16_t port = 0;
  const char* end = address.data() + address.size();
  const auto parsed = std::from_chars(address.data() + colon + 1, end, port);
  if (parsed.ec != std::errc() || parsed.ptr != end)
    return fail(Code::kUsage, "address \"" + address + "\" has no usable port",
                "a port is 1 to 65535");
  return std::pair{host, port};
}

}  // namespace rexec::net
