#include "src/controller/paging.hpp"

namespace rexec::controller {
namespace {

constexpr std::size_t kMostBytes = 224 << 10;  // a message's map may have 256 KiB
constexpr std::size_t kLongField = 4 << 10;    // of a row that no page could hold

std::size_t size_of(const wire::Map& map) { return wire::Map::to_msgpack(map).size(); }

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
