// What people write for a size or a share of a processor.
#include "src/base/amount.hpp"

#include <doctest/doctest.h>

using namespace rexec;

TEST_CASE("amount: a size is a number with at most three decimals and a unit") {
  struct Row {
    const char* text;
    std::uint64_t bytes;
  };
  const Row rows[] = {{"1", 1}, {"512M", 512 << 20}, {"4KiB", 4096}, {"0.25K", 256}, {"7B", 7}};
  for (const Row& row : rows) CHECK(*parse_amount("--mem", row.text, kSizes) == row.bytes);
  for (const char* wrong : {"", "0", "-1", "1.", ".5", "1X", "1.2345G", "9999999T", "1 G", "G",
                            "99999999999999999999"}) {
    CAPTURE(wrong);
    CHECK(parse_amount("--mem", wrong, kSizes).error().code == Code::kUsage);
  }
}
