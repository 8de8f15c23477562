// Messages between net, spawner and shim, all four families: no crash, and what decodes encodes to
// the same bytes, or to what this version knows of a later one's.
#include <cstddef>
#include <cstdint>

#include "src/base/check.hpp"
#include "src/job/ipc/link.hpp"

namespace {

namespace link = rexec::job::link;

template <class Decoded>
void same(const Decoded& decoded, rexec::ByteSpan bytes) {
  if (!decoded || std::holds_alternative<link::Newer>(*decoded)) return;
  const std::string again = link::encode(*decoded, bytes[1]);
  if (bytes[1] <= link::kVersion) {
    rexec::check(again.substr(2) == rexec::as_text(bytes.subspan(2)), "one encoding each");
  } else {
    rexec::check(rexec::as_text(bytes).substr(2).starts_with(again.substr(2)), "and its beginning");
  }
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
