#include "src/os/memory.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

namespace rexec::os {
namespace {

// kB, a field of /proc/self/smaps_rollup.
long rollup(const std::string& field) {
  std::ifstream file("/proc/self/smaps_rollup");
  for (std::string word; file >> word;) {
    if (word != field) continue;
    long value = 0;
    file >> value;
    return value;
  }
  return -1;
}

struct Shape {  // its table of virtual functions lies in pages that were relocated at the start
  virtual ~Shape() = default;
  virtual std::string name() const { return "shape"; }
};
struct Circle : Shape {
  std::string name() const override { return "circle"; }
};

TEST_CASE("memory: what is given back is less, and everything works afterwards") {
  std::vector<std::unique_ptr<std::string>> much;
  for (int i = 0; i < 20'000; ++i) much.push_back(std::make_unique<std::string>(1000, 'x'));
  const std::unique_ptr<Shape> shape = std::make_unique<Circle>();
  much.clear();
  const long before = rollup("Rss:");
  return_unused_memory();
  CHECK(rollup("Rss:") < before);
  CHECK(shape->name() == "circle");
  CHECK_THROWS_AS(std::string("a").at(5), std::out_of_range);  // unwinds through read-only tables
}

}  // namespace
}  // namespace rexec::os
