// Messages between net, spawner and shim, all four families: no crash, and what decodes encodes to
// the same bytes.
#include <cstddef>
#include <cstdint>

#include "src/base/check.hpp"
#include "src/job/link.hpp"

namespace {

template <class Decoded>
void same(const Decoded& decoded, rexec::ByteSpan bytes) {
  if (!decoded) return;
  rexec::check(rexec::job::link::encode(*decoded) == rexec::as_text(bytes), "one encoding each");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rexec::job::link;
  const rexec::ByteSpan bytes(data, size);
  same(decode_to_spawner(bytes), bytes);
  same(decode_from_spawner(bytes), bytes);
  same(decode_to_shim(bytes), bytes);
  same(decode_from_shim(bytes), bytes);
  return 0;
}
