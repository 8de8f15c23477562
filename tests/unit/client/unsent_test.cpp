// What is sent to a job while no stream leads to it.
#include <doctest/doctest.h>

#include "src/client/attachment.hpp"

using namespace rexec;
using namespace rexec::client;

namespace {

wire::Map resize(int rows) { return {{"t", "resize"}, {"rows", rows}, {"cols", 80}}; }
wire::Map signal(int number) { return {{"t", "signal"}, {"n", number}}; }

}  // namespace

TEST_CASE("unsent: of the terminal's sizes the newest is kept, behind what came before it") {
  std::vector<wire::Map> unsent;
  for (int rows = 1; rows <= 100; ++rows) keep_unsent(unsent, resize(rows));
  keep_unsent(unsent, signal(15));
  keep_unsent(unsent, resize(7));
  REQUIRE(unsent.size() == 2);
  CHECK(unsent[0] == signal(15));
  CHECK(unsent[1] == resize(7));
}

TEST_CASE("unsent: a storm of signals is bounded and its newest reaches the job") {
  std::vector<wire::Map> unsent;
  for (int i = 0; i < 1'000; ++i) keep_unsent(unsent, signal(10));
  keep_unsent(unsent, {{"t", "stop"}, {"grace_ms", 5'000}});
  CHECK(unsent.size() == 16);
  CHECK(wire::text_or(unsent.back(), "t") == "stop");
}
