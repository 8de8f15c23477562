#include "src/wire/maps.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "src/base/cut_text.hpp"
#include "src/base/text.hpp"

namespace rexec::wire {
namespace {

// Builds the value while it checks it, so that a hostile depth or a duplicate key stops the parse
// at once.
class StrictReader : public nlohmann::json_sax<Map> {
 public:
  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  // One number has one form here, whichever of MessagePack's the peer chose.
  bool number_integer(number_integer_t value) override {
    return value < 0 ? put(value) : put(static_cast<number_unsigned_t>(value));
  }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t&) override { return put(value); }
  bool string(string_t& value) override {
    if (!is_utf8(value)) return refuse("a string is not UTF-8");
    return put(std::move(value));
  }
  bool binary(binary_t& value) override {
    if (value.has_subtype()) return refuse("ext types are not allowed");
    return put(Map::binary(std::move(static_cast<std::vector<std::uint8_t>&>(value))));
  }
  bool start_object(std::size_t) override { return open(Map::object()); }
  bool start_array(std::size_t) override { return open(Map::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    if (!is_utf8(name)) return refuse("a key is not UTF-8");
    if (stack_.back()->contains(name)) return refuse("a key is there twice");
    key_ = std::move(name);
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return refuse("not MessagePack, or cut short");
  }
  const std::string& why() const { return why_; }
  Map& root() { return root_; }

 private:
  bool refuse(const char* why) {
    if (why_.empty()) why_ = why;
    return false;
  }
  Map* place(Map value) {
    if (stack_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Map& top = *stack_.back();
    if (top.is_object()) return &*top.emplace(std::move(key_), std::move(value)).first;
    top.push_back(std::move(value));
    return &top.back();
  }
  bool put(Map value) {
    if (stack_.empty()) return refuse("not a map");
    place(std::move(value));
    return true;
  }
  bool open(Map value) {
    if (stack_.size() >= static_cast<std::size_t>(kMaxDepth))
      return refuse("nested deeper than 32");
    if (stack_.empty() && !value.is_object()) return refuse("not a map");
    stack_.push_back(place(std::move(value)));
    return true;
  }
  bool close() {
    stack_.pop_back();
    return true;
  }

  Map root_;
  std::vector<Map*> stack_;  // stable: only the innermost container grows
  std::string key_;
  std::string why_;
};

std::unexpected<Error> bad_field(std::string_view key, std::string_view what) {
  return fail(Code::kProtocol, "field \"" + std::string(key) + "\" " + std::string(what));
}

const Map* find(const Map& map, std::string_view key) {
  if (!map.is_object()) return nullptr;
  const auto at = map.find(key);
  return at == map.end() ? nullptr : &*at;
}

std::string bin_text(const Map& value) {
  const auto& bytes = value.get_binary();
  return {bytes.begin(), bytes.end()};
}

// Escaped line by line, for people at a terminal.
std::string printable_lines(std::string_view text, std::size_t most) {
  std::string out;
  for (const auto& line : split(cut_text(text, most), '\n'))
    out += (out.empty() ? "" : "\n") + printable(line);
  out.resize(cut_text(out, most).size());
  return out;
}

// A map that the strict reader would refuse is mended before it is sent: one bad text, or a value
// nested too deeply, costs its reader itself, never the message around it.
// Whether the strict reader takes it; `depth` is that of the containers around it.
bool is_strict(const Map& value, int depth) {
  if (value.is_string()) return is_utf8(value.get_ref<const std::string&>());
  if (!value.is_structured()) return !value.is_discarded();
  if (depth >= kMaxDepth) return false;
  if (value.is_object())
    for (const auto& [key, child] : value.get_ref<const Map::object_t&>())
      if (!is_utf8(key)) return false;
  return std::ranges::all_of(value, [&](const Map& one) { return is_strict(one, depth + 1); });
}

Map made_strict(const Map& value, int depth) {
  if (value.is_string()) return printable(value.get_ref<const std::string&>());
  if (value.is_discarded() || (value.is_structured() && depth >= kMaxDepth)) return nullptr;
  if (!value.is_structured()) return value;
  Map out = value.is_object() ? Map::object() : Map::array();
  if (value.is_array())
    for (const Map& one : value) out.push_back(made_strict(one, depth + 1));
  else
    for (const auto& [key, child] : value.get_ref<const Map::object_t&>())
      out[printable(key)] = made_strict(child, depth + 1);
  return out;
}

}  // namespace

Result<Map> parse_map(ByteSpan bytes) {
  StrictReader reader;
  const bool ok =
      Map::sax_parse(bytes.begin(), bytes.end(), &reader, Map::input_format_t::msgpack, true);
  if (!ok)
    return fail(Code::kProtocol,
                "a message cannot be read: " + (reader.why().empty() ? "cut short" : reader.why()));
  return std::move(reader.root());
}

std::string pack(const Map& map, int depth) {
  if (!is_strict(map, depth)) return pack(made_strict(map, depth), depth);
  std::string out;
  Map::to_msgpack(map, nlohmann::detail::output_adapter<char>(out));
  return out;
}

Result<std::string> get_text(const Map& map, std::string_view key) {
  const Map* at = find(map, key);
  if (at == nullptr) return bad_field(key, "is missing");
  if (!at->is_string()) return bad_field(key, "is not a string");
  return at->get<std::string>();
}

Result<std::string> get_bin(const Map& map, std::string_view key) {
  const Map* at = find(map, key);
  if (at == nullptr) return bad_field(key, "is missing");
  if (!at->is_binary()) return bad_field(key, "is not bin");
  return bin_text(*at);
}

Result<std::uint64_t> get_u64(const Map& map, std::string_view key, std::uint64_t highest) {
  const Map* at = find(map, key);
  if (at == nullptr) return bad_field(key, "is missing");
  if (!at->is_number_unsigned()) return bad_field(key, "is not an unsigned integer");
  const auto value = at->get<std::uint64_t>();
  if (value > highest) return bad_field(key, "is too large");
  return value;
}

Result<bool> get_bool(const Map& map, std::string_view key) {
  const Map* at = find(map, key);
  if (at == nullptr) return bad_field(key, "is missing");
  if (!at->is_boolean()) return bad_field(key, "is not a boolean");
  return at->get<bool>();
}

std::string text_or(const Map& map, std::string_view key, std::string_view otherwise) {
  const Map* at = find(map, key);
  return at != nullptr && at->is_string() ? at->get<std::string>() : std::string(otherwise);
}

std::string bin_or(const Map& map, std::string_view key) {
  const Map* at = find(map, key);
  return at != nullptr && at->is_binary() ? bin_text(*at) : std::string();
}

std::uint64_t u64_or(const Map& map, std::string_view key, std::uint64_t otherwise) {
  const Map* at = find(map, key);
  if (at == nullptr || !at->is_number_integer()) return otherwise;
  if (!at->is_number_unsigned() && at->get<std::int64_t>() < 0) return otherwise;
  return at->get<std::uint64_t>();
}

std::int64_t i64_or(const Map& map, std::string_view key, std::int64_t otherwise) {
  const Map* at = find(map, key);
  if (at == nullptr || !at->is_number_integer()) return otherwise;
  if (at->is_number_unsigned() && at->get<std::uint64_t>() > (1ULL << 62)) return otherwise;
  return at->get<std::int64_t>();
}

bool bool_or(const Map& map, std::string_view key, bool otherwise) {
  const Map* at = find(map, key);
  return at != nullptr && at->is_boolean() ? at->get<bool>() : otherwise;
}

const Map& child_or_empty(const Map& map, std::string_view key) {
  static const Map empty = Map::object();
  const Map* at = find(map, key);
  return at != nullptr && (at->is_object() || at->is_array()) ? *at : empty;
}

Map take_child(Map& map, std::string_view key) {
  const Map& child = child_or_empty(map, key);
  if (child.empty()) return child;
  return std::exchange(map[std::string(key)], nullptr);
}

Map bin(std::string_view bytes) { return Map::binary({bytes.begin(), bytes.end()}); }

Map error_to_map(const Error& error) {
  // Messages may quote bytes that are not UTF-8; a map must stay readable for the strict reader,
  // and fit into a frame of 4 KiB, the most that a peer takes before HELLO.
  return {{"code", code_name(error.code)},
          {"message", cut_text(printable(error.message), 2 << 10)},
          {"hint", printable_lines(error.hint, 1 << 10)}};
}

Error error_from_map(const Map& map) {
  constexpr std::size_t kMost = 4 << 10;
  return {code_from_name(text_or(map, "code")),
          printable_lines(text_or(map, "message", "no reason given"), kMost),
          printable_lines(text_or(map, "hint"), kMost)};
}

}  // namespace rexec::wire
