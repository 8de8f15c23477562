// What a submit says about waiting, as any map: read within its bounds or refused, and what is read
// is written so that it reads the same.
#include "src/base/check.hpp"
#include "src/controller/core/terms.hpp"

using namespace rexec;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto map = wire::parse_map({data, size});
  if (!map) return 0;
  const auto terms = controller::read_terms(*map);
  if (!terms) {
    const Code code = terms.error().code;
    check(code == Code::kUsage || code == Code::kProtocol || code == Code::kLimit,
          "a refusal says whose fault it is");
    return 0;
  }
  check(terms->locks.size() <= controller::kMostLocks, "locks are bounded");
  check(terms->after.size() <= controller::kMostDependencies, "dependencies are bounded");
  const auto again = controller::read_terms(controller::to_map(*terms));
  check(again && *again == *terms, "what is written reads the same");
  return 0;
}
