// CRC-32C, RFC 3720 appendix B.4; polynomial 0x1EDC6F41 reflected. See crc32c.hpp.
#include "src/job/spool/crc32c.hpp"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace rexec::job {
namespace {

constexpr std::uint32_t kReflected = 0x82F63B78;

// Eight tables: one look-up for each of eight bytes at a time (Intel's slicing-by-8).
using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr Tables make_tables() {
  Tables tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kReflected : 0);
    tables[0][i] = crc;
  }
  for (std::size_t t = 1; t < 8; ++t)
    for (std::size_t i = 0; i < 256; ++i)
      tables[t][i] = (tables[t - 1][i] >> 8) ^ tables[0][tables[t - 1][i] & 0xff];
  return tables;
}

constexpr Tables kTables = make_tables();

#if defined(__x86_64__)
bool have_instruction() { return __builtin_cpu_supports("sse4.2") != 0; }

__attribute__((target("sse4.2"))) std::uint32_t by_instruction(ByteSpan bytes, std::uint32_t crc) {
  const std::uint8_t* p = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t wide = crc;
  for (; left >= 8; left -= 8, p += 8) {
    std::uint64_t word;
    std::memcpy(&word, p, 8);
    wide = _mm_crc32_u64(wide, word);
  }
  crc = static_cast<std::uint32_t>(wide);
  for (; left > 0; --left) crc = _mm_crc32_u8(crc, *p++);
  return crc;
}
#elif defined(__aarch64__)
bool have_instruction() { return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0; }

__attribute__((target("crc"))) std::uint32_t by_instruction(ByteSpan bytes, std::uint32_t crc) {
  const std::uint8_t* p = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, p += 8) {
    std::uint64_t word;
    std::memcpy(&word, p, 8);
    crc = __crc32cd(crc, word);
  }
  for (; left > 0; --left) crc = __crc32cb(crc, *p++);
  return crc;
}
#else
bool have_instruction() { return false; }
std::uint32_t by_instruction(ByteSpan, std::uint32_t crc) { return crc; }
#endif

std::uint32_t by_table(ByteSpan bytes, std::uint32_t crc) {
  const std::uint8_t* p = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, p += 8) {
    std::uint32_t next = 0;
    for (std::size_t i = 0; i < 8; ++i) {
      const std::uint32_t byte = p[i] ^ (i < 4 ? (crc >> (8 * i)) & 0xff : 0);
      next ^= kTables[7 - i][byte];
    }
    crc = next;
  }
  for (; left > 0; --left) crc = (crc >> 8) ^ kTables[0][(crc ^ *p++) & 0xff];
  return crc;
}

}  // namespace

std::uint32_t crc32c(ByteSpan bytes, std::uint32_t seed) {
  static const bool instruction = have_instruction();
  return ~(instruction ? by_instruction(bytes, ~seed) : by_table(bytes, ~seed));
}

std::uint32_t crc32c_software(ByteSpan bytes, std::uint32_t seed) {
  return ~by_table(bytes, ~seed);
}

}  // namespace rexec::job
