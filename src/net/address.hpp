// HOST:PORT as people write it. Not in listener.hpp because who only reads one needs no Asio.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "src/base/error.hpp"

namespace rexec::net {

// "host", port of "host:port" or "[v6]:port"; kUsage with what is wrong.
Result<std::pair<std::string, std::uint16_t>> split_address(const std::string& address);

}  // namespace rexec::net
