// The strict reader of maps: what it accepts is an object of bounded depth that packs and reads
// back to the same, whose every field can be asked for, and which makes a printable error.
#include <cstddef>
#include <cstdint>
#include <string>

#include "src/base/check.hpp"
#include "src/base/text.hpp"
#include "src/wire/maps.hpp"

namespace {

using namespace rexec;
using namespace rexec::wire;

int depth_of(const Map& value) {
  if (!value.is_structured()) return 0;
  int deepest = 0;
  for (const Map& child : value) deepest = std::max(deepest, depth_of(child));
  return 1 + deepest;
}

void ask_for_everything(const Map& map) {
  for (const auto& [key, value] : map.items()) {
    check(is_utf8(key), "keys are UTF-8");
    const auto text = get_text(map, key);
    check(text.has_value() == value.is_string(), "text is text");
    if (text) check(is_utf8(*text), "and UTF-8");
    check(get_bin(map, key).has_value() == value.is_binary(), "bin is bin");
    check(get_bool(map, key).has_value() == value.is_boolean(), "a boolean is one");
    const auto number = get_u64(map, key);
    if (number) check(*number < (1ULL << 53), "numbers are exact in every language");
    if (number) check(u64_or(map, key, *number + 1) == *number, "both accessors agree");
    static_cast<void>(i64_or(map, key, 0));
    static_cast<void>(child_or_empty(map, key));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto map = parse_map(ByteSpan(data, size));
  if (!map) {
    check(map.error().code == Code::kProtocol, "one code");
    return 0;
  }
  check(map->is_object(), "an object");
  check(depth_of(*map) <= kMaxDepth, "of bounded depth");
  ask_for_everything(*map);
  const std::string packed = pack(*map);
  const auto again = parse_map(as_bytes(packed));
  check(again.has_value(), "what was read packs and reads again");
  check(pack(*again) == packed, "to the same");  // not ==: a NaN differs from itself
  const Error error = error_from_map(*map);
  check(is_utf8(error.message), "a message for people");
  check(error.message.size() <= 4096, "of bounded length");
  check(is_utf8(error.hint), "and a hint");
  const std::string sent = pack(error_to_map(error));
  check(sent.size() <= 4096, "that fits before the login");
  check(parse_map(as_bytes(sent)).has_value(), "and can be passed on");
  return 0;
}
