// Natural order and folding.
#include "src/select/fold.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "src/select/order.hpp"

using namespace rexec::select;

static std::string fold(std::vector<std::string> names) { return fold_names(names); }

TEST_CASE("fold: numbers become ranges, other names stay") {
  CHECK(fold({}).empty());
  CHECK(fold({"a"}) == "a");
  CHECK(fold({"n1"}) == "n1");
  CHECK(fold({"n3", "n1", "n2"}) == "n[1-3]");
  CHECK(fold({"n1", "n2", "n7", "n1"}) == "n[1-2,7]");
  CHECK(fold({"db", "n1", "n2", "a"}) == "a,db,n[1-2]");
  CHECK(fold({"r1n1", "r1n2", "r2n1"}) == "r1n[1-2],r2n1");
  CHECK(fold({"n1.eu", "n2.eu", "n1.us"}) == "n1.us,n[1-2].eu");
}

TEST_CASE("fold: padding is kept, and joins the unpadded numbers of its width") {
  CHECK(fold({"n08", "n09", "n10"}) == "n[08-10]");
  CHECK(fold({"n9", "n10"}) == "n[9-10]");
  CHECK(fold({"n1", "n01"}) == "n01,n1");
  CHECK(fold({"n0", "n00"}) == "n0,n00");
}

TEST_CASE("fold: a number too long to read back stays a name") {
  CHECK(fold({"n20261121010203", "n20261121010204"}) == "n20261121010203,n20261121010204");
}

TEST_CASE("order: runs of digits compare as numbers of any length") {
  std::vector<std::string> names{"n10", "n2",  "n1",  "m",
                                 "n",   "n2a", "n02", "n99999999999999999999"};
  std::ranges::sort(names, natural_less);
  CHECK(names == std::vector<std::string>{"m", "n", "n1", "n02", "n2", "n2a", "n10",
                                          "n99999999999999999999"});
}
