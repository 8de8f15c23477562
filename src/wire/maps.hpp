// MessagePack maps, the payload of every control frame: strict reading of what a peer sent, and
// typed access to its fields. Nothing here knows a particular message. Depth ≤ 32, string keys, no
// duplicate keys, no ext types, no bytes behind the map.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "src/base/bytes.hpp"
#include "src/base/error.hpp"

namespace rexec::wire {

using Map = nlohmann::json;

inline constexpr int kMaxDepth = 32;

// kProtocol with the reason. The result is an object. Strings are checked to be UTF-8 without NUL.
Result<Map> parse_map(ByteSpan bytes);
// MessagePack of an object, or of what is put into a message below so many containers.
std::string pack(const Map& map, int depth = 0);

// A field of the expected type; kProtocol naming `key` when missing, of another type or out of
// range.
Result<std::string> get_text(const Map& map, std::string_view key);
Result<std::string> get_bin(const Map& map, std::string_view key);
Result<std::uint64_t> get_u64(const Map& map, std::string_view key,
                              std::uint64_t highest = (1ULL << 53) - 1);
Result<bool> get_bool(const Map& map, std::string_view key);

// The same with a default for a field that is missing or of another type: for fields an older peer
// does not send.
std::string text_or(const Map& map, std::string_view key, std::string_view otherwise = {});
std::string bin_or(const Map& map, std::string_view key);
std::uint64_t u64_or(const Map& map, std::string_view key, std::uint64_t otherwise);
std::int64_t i64_or(const Map& map, std::string_view key, std::int64_t otherwise);
bool bool_or(const Map& map, std::string_view key, bool otherwise);
// The object or array under key, or an empty object.
const Map& child_or_empty(const Map& map, std::string_view key);
// The same, taken out of the map: no copy of what may have thousands of rows.
Map take_child(Map& map, std::string_view key);

Map bin(std::string_view bytes);

// {code, message, hint}, as in CLOSE, RESET and failed RESPONSEs. Text is made printable
// both ways; it is cut to 3 KiB before it is sent and to 4 KiB a field when it comes.
Map error_to_map(const Error& error);
Error error_from_map(const Map& map);

}  // namespace rexec::wire
