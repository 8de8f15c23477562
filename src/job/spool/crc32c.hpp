// CRC-32C (Castagnoli), the checksum of spool frames. By the CPU's instruction where it has one, by
// table otherwise.
#pragma once

#include <cstdint>

#include "src/base/bytes.hpp"

namespace rexec::job {

// Continues from `seed`, which is 0 or an earlier result: crc32c(a ++ b) == crc32c(b, crc32c(a)).
std::uint32_t crc32c(ByteSpan bytes, std::uint32_t seed = 0);
// The table variant, so that tests can compare the two on one machine.
std::uint32_t crc32c_software(ByteSpan bytes, std::uint32_t seed = 0);

}  // namespace rexec::job
