#include "cli/run/events.hpp"

#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

std::string one_line(const wire::Map& map) {
  return map.dump(-1, ' ', false, wire::Map::error_handler_t::replace) + "\n";
}

// How many bytes at the end are the beginning of a character that is not finished.
std::size_t unfinished(std::string_view text) {
  for (std::size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;
    const std::size_t needs = byte > 0xF4    ? 1
                              : byte >= 0xF0 ? 4
                              : byte >= 0xE0 ? 3
                              : byte >= 0xC2 ? 2
                                             : 1;
    return needs > back ? back : 0;
  }
  return 0;
}

}  // namespace

std::string JobEvents::line(const std::string& type, wire::Map more) {
  more["v"] = 1;
  more["t"] = type;
  more["node"] = node_;
  more["job"] = job_;
  more["seq"] = ++seq_;
  return one_line(more);
}

std::string JobEvents::start() { return line("start", wire::Map::object()); }

std::string JobEvents::data_line(const std::string& type, Side& side, Piece piece) {
  wire::Map more{{"offset", side.offset}};
  side.offset += piece.bytes.size();
  if (piece.written) more["time"] = to_iso8601(*piece.written);
  if (is_utf8(piece.bytes)) {
    more["data"] = std::move(piece.bytes);
  } else {
    more["base64"] = to_base64(piece.bytes);
  }
  return line(type, std::move(more));
}

std::string JobEvents::bytes(const std::string& type, ByteSpan bytes,
                             std::optional<WallTime> written) {
  Side& to = side(type);
  const auto begun = to.held.empty() ? written : to.held_written;
  std::string whole = std::exchange(to.held, {});
  whole += as_text(bytes);
  const std::size_t keep = unfinished(whole);
  to.held = whole.substr(whole.size() - keep);
  to.held_written = whole.size() == keep ? begun : written;
  whole.resize(whole.size() - keep);
  return whole.empty() ? std::string() : data_line(type, to, {std::move(whole), begun});
}

std::string JobEvents::state(const std::string& state, wire::Map more) {
  more["state"] = state;
  return line("state", std::move(more));
}

std::string JobEvents::end(const wire::Map& record) {
  std::string text;
  for (const char* type : {"out", "err"}) {
    Side& rest = side(type);
    if (!rest.held.empty())
      text += data_line(type, rest, {std::exchange(rest.held, {}), rest.held_written});
  }
  return text + line("end", record);
}

std::string summary_line(wire::Map more) {
  more["v"] = 1;
  more["t"] = "summary";
  return one_line(more);
}

std::string to_base64(std::string_view bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::string_view three = bytes.substr(i, 3);
    std::uint32_t bits = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      bits = bits << 8 | (j < three.size() ? static_cast<unsigned char>(three[j]) : 0);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      text += j <= three.size() ? kDigits[bits >> (18 - 6 * j) & 63] : '=';
    }
  }
  return text;
}

}  // namespace rexec::cli
