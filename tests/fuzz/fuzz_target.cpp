// Any bytes as a TARGET: an answer within the bounds; what parses prints, and prints stably.
#include "src/base/check.hpp"
#include "src/select/parse.hpp"
#include "src/select/resolve.hpp"

using namespace rexec;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<select::Selector> parsed = select::parse_target(text);
  if (!parsed) {
    const Code code = parsed.error().code;
    check(code == Code::kUsage || code == Code::kLimit, "a parse error is usage or limit");
    return 0;
  }
  const std::string printed = select::to_text(*parsed);
  const Result<select::Selector> again = select::parse_target(printed);
  // Printing may add a level of parentheses and pass a bound; nothing else.
  if (again) check(select::to_text(*again) == printed, "printing is stable");
  if (!again) check(again.error().code == Code::kLimit, "what is printed parses");
  const select::InventoryNode fleet[] = {{"n1", {{"os", "linux"}}, {"web"}}, {"n2", {}, {}}};
  (void)select::resolve(*parsed, fleet);
  return 0;
}
