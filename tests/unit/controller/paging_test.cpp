// Pages of a list: all rows once, in order, none larger than a message may be.
#include "src/controller/verbs/paging.hpp"

#include <doctest/doctest.h>

#include <numeric>
#include <vector>

using namespace rexec;
using namespace rexec::controller;

namespace {

constexpr std::size_t kMessage = 256 << 10;

wire::Map page_of(const std::vector<std::string>& names, const std::string& after,
                  std::size_t bytes) {
  return page_behind(
             after, names, std::less<>(), [](const std::string& name) { return name; },
             [&](const std::string& name) {
               return wire::Map{{"name", name}, {"text", std::string(bytes, 'x')}};
             })
      .answer("rows");
}

std::vector<std::string> all_of(const std::vector<std::string>& names, std::size_t bytes) {
  std::vector<std::string> seen;
  std::string after;
  while (true) {
    const wire::Map page = page_of(names, after, bytes);
    CHECK(wire::pack(page).size() < kMessage);
    CHECK(!page.at("rows").empty());
    for (const auto& row : page.at("rows")) seen.push_back(row.at("name").get<std::string>());
    if (!page.contains("more")) return seen;
    after = page.at("more").get<std::string>();
  }
}

std::vector<std::string> names_up_to(int count) {
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) names.push_back("n" + std::to_string(100'000 + i));
  return names;
}

}  // namespace

TEST_CASE("paging: page after page has every row once, in order, and no page is too large") {
  const auto names = names_up_to(3000);
  CHECK(all_of(names, 10) == names);
  CHECK(all_of(names, 1000) == names);
  CHECK(all_of(names_up_to(3), 100'000) == names_up_to(3));
}

TEST_CASE("paging: a row that was the last of a page may be gone") {
  auto names = names_up_to(3000);
  const std::string more = page_of(names, {}, 1000).at("more").get<std::string>();
  const auto at = std::ranges::find(names, more);
  const std::string next = *std::next(at);
  names.erase(at);
  CHECK(page_of(names, more, 1000).at("rows")[0].at("name") == next);
}

TEST_CASE("paging: a row that no page holds goes without its longest fields") {
  const auto names = names_up_to(2);
  CHECK(all_of(names, 300 << 10) == names);
  CHECK(page_of(names, {}, 300 << 10).at("rows")[0].at("text").is_null());
}

TEST_CASE("paging: nothing is a whole page") {
  const wire::Map page = page_of({}, {}, 1);
  CHECK(page.at("rows").empty());
  CHECK_FALSE(page.contains("more"));
  CHECK(page_of(names_up_to(2), "z", 1).at("rows").empty());
}

TEST_CASE("paging: a page ends at its number of rows") {
  Page page(2);
  CHECK(page.put({{"a", 1}}, "a"));
  CHECK(page.put({{"b", 1}}, "b"));
  CHECK_FALSE(page.put({{"c", 1}}, "c"));
  CHECK(page.answer("rows").at("more") == "b");
}

TEST_CASE(
    "paging: a page of rows of every kind is nearly as large as a message may be, never more") {
  const wire::Map row{{"text", std::string(300, 'x')},
                      {"long", std::string(70'000, 'y')},
                      {"numbers", {0, -1, 1.5, 1U << 31}},
                      {"nested", {{"yes", true}, {"no", nullptr}}},
                      {"bytes", wire::bin(std::string(900, 'b'))}};
  Page page;
  std::size_t rows = 0;
  while (page.put(row, std::to_string(rows))) ++rows;
  CHECK(rows == 3);
  wire::Map small{{"n", 1}};
  Page many;
  while (many.put(small, "p")) {
  }
  const std::size_t size = wire::pack(many.answer("rows")).size();
  CHECK(size < kMessage);
  CHECK(size > kMessage / 8);
}
