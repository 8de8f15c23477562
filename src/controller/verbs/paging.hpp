// One page of any list: rows until the answer is as large as a message may be, and the place where
// the next page goes on. Whatever is listed for people is listed by this; the request repeats
// `more` of one answer as its `after`, and without it gets the first page. Pure.
#pragma once

#include <algorithm>
#include <string>

#include "src/wire/maps.hpp"

namespace rexec::controller {

class Page {
 public:
  explicit Page(std::size_t most_rows = SIZE_MAX) : most_rows_(most_rows) {}

  // False when it is one too many: the page is full, and the next one begins with it. A row that no
  // page could hold goes without its longest fields.
  bool put(wire::Map row, std::string place);
  // There is more, although this page has room: whoever looked for rows stopped here.
  void stop_at(std::string place);
  bool is_full() const { return is_full_; }
  std::size_t size() const { return rows_.size(); }
  // Adds NAME: the rows, and `more` when they are not all.
  void add_to(wire::Map& answer, const char* name);
  wire::Map answer(const char* name);

 private:
  std::size_t most_rows_;
  std::size_t bytes_ = 0;
  wire::Map rows_ = wire::Map::array();
  std::string last_;
  bool is_full_ = false;
};

// The place that a request goes on behind; empty at the beginning.
inline std::string after_of(const wire::Map& args) { return wire::text_or(args, "after"); }

// What comes behind the place `after` of rows that stand in the order of their places.
template <class Rows, class Less, class Place, class Show>
Page page_behind(const std::string& after, const Rows& rows, Less less, Place place, Show show) {
  Page page;
  auto at = rows.begin();
  if (!after.empty())
    at = std::upper_bound(
        rows.begin(), rows.end(), after,
        [&](const std::string& text, const auto& row) { return less(text, place(row)); });
  while (at != rows.end() && page.put(show(*at), place(*at))) ++at;
  return page;
}

}  // namespace rexec::controller
