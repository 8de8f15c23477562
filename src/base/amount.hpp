// Amounts as people write them for limits: "0.5" processors, "512M", "1.5G". Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "src/base/error.hpp"

namespace rexec {

struct AmountUnit {
  std::string_view name;
  std::uint64_t factor;
};
// Thousandths of a processor.
inline constexpr AmountUnit kProcessors[] = {{"", 1000}};
// Bytes; the letters are powers of 1024 with and without "iB" or "B".
inline constexpr AmountUnit kSizes[] = {{"", 1},           {"B", 1},
                                        {"K", 1ULL << 10}, {"KiB", 1ULL << 10},
                                        {"M", 1ULL << 20}, {"MiB", 1ULL << 20},
                                        {"G", 1ULL << 30}, {"GiB", 1ULL << 30},
                                        {"T", 1ULL << 40}, {"TiB", 1ULL << 40}};

// Positive, at most three decimals, below 2^53. kUsage naming `what` otherwise.
Result<std::uint64_t> parse_amount(std::string_view what, std::string_view text,
                                   std::span<const AmountUnit> units);

}  // namespace rexec
