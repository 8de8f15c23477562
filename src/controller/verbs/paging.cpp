#include "src/controller/verbs/paging.hpp"

namespace rexec::controller {
namespace {

constexpr std::size_t kMostBytes = 224 << 10;  // a message's map may have 256 KiB
constexpr std::size_t kLongField = 4 << 10;    // of a row that no page could hold

// What packing writes before so many bytes, or elements.
std::size_t size_of_header(std::size_t count) {
  if (count < 16) return 1;
  return count <= UINT16_MAX ? 3 : 5;
}

// Packed, or a few bytes more: without packing what will be packed as a whole.
std::size_t size_of(const wire::Map& map) {
  constexpr std::size_t kNumber = 9;
  std::size_t size = 0;
  switch (map.type()) {
    case wire::Map::value_t::object:
      for (const auto& [key, value] : map.items())
        size += size_of_header(key.size()) + key.size() + size_of(value);
      return size_of_header(map.size()) + size;
    case wire::Map::value_t::array:
      for (const auto& value : map) size += size_of(value);
      return size_of_header(map.size()) + size;
    case wire::Map::value_t::string:
      size = map.get_ref<const std::string&>().size();
      return size_of_header(size) + size;
    case wire::Map::value_t::binary:
      size = map.get_binary().size();
      return 6 + size;
    case wire::Map::value_t::null:
    case wire::Map::value_t::boolean:
      return 1;
    default:
      return kNumber;
  }
}

void shorten(wire::Map& row) {
  for (auto& [key, value] : row.items())
    if (size_of(value) > kLongField) value = nullptr;
}

}  // namespace

bool Page::put(wire::Map row, std::string place) {
  std::size_t size = size_of(row);
  if (size > kMostBytes) {
    shorten(row);
    size = size_of(row);
  }
  is_full_ = rows_.size() >= most_rows_ || (!rows_.empty() && bytes_ + size > kMostBytes);
  if (is_full_) return false;
  bytes_ += size;
  rows_.push_back(std::move(row));
  last_ = std::move(place);
  return true;
}

void Page::stop_at(std::string place) {
  last_ = std::move(place);
  is_full_ = true;
}

void Page::add_to(wire::Map& answer, const char* name) {
  answer[name] = std::move(rows_);
  if (is_full_) answer["more"] = last_;
}

wire::Map Page::answer(const char* name) {
  wire::Map map = wire::Map::object();
  add_to(map, name);
  return map;
}

}  // namespace rexec::controller
