#include "src/base/amount.hpp"

#include <charconv>
#include <string>

#include "src/base/text.hpp"

namespace rexec {
namespace {

constexpr std::uint64_t kMost = 1ULL << 53;

// Thousandths of the number in front; false when there is none. Takes it off `text`.
bool take_thousandths(std::string_view& text, std::uint64_t& thousandths) {
  std::uint64_t whole = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), whole);
  if (error != std::errc() || whole > kMost / 1000) return false;
  text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
  thousandths = whole * 1000;
  if (!text.starts_with('.')) return true;
  text.remove_prefix(1);
  std::uint64_t worth = 100;
  std::size_t digits = 0;
  for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits) {
    if (digits >= 3) return false;
    thousandths += static_cast<std::uint64_t>(text[digits] - '0') * worth;
    worth /= 10;
  }
  text.remove_prefix(digits);
  return digits > 0;
}

}  // namespace

Result<std::uint64_t> parse_amount(std::string_view what, std::string_view text,
                                   std::span<const AmountUnit> units) {
  std::string_view rest = text;
  std::uint64_t thousandths = 0;
  const bool is_number = take_thousandths(rest, thousandths);
  for (const AmountUnit& unit : units) {
    if (!is_number || rest != unit.name) continue;
    const auto amount = static_cast<unsigned __int128>(thousandths) * unit.factor / 1000;
    if (amount > 0 && amount < kMost) return static_cast<std::uint64_t>(amount);
  }
  const bool is_size = units.size() > 1;
  return fail(Code::kUsage,
              std::string(what) + ": \"" + printable(text.substr(0, 64)) + "\" is no amount",
              is_size ? "write 512M, 1.5G or a number of bytes" : "write 2 or 0.5");
}

}  // namespace rexec
