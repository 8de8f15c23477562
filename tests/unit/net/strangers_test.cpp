// Who is on the port without an identity: how many, from where, for how long.
#include "src/net/strangers.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace rexec;
using namespace rexec::net;
using namespace std::chrono_literals;

namespace {

const BootTime kStart{std::chrono::hours(1)};

// Each notes his own number when he is shed, and lets go of his place.
struct Port {
  Strangers strangers;
  std::vector<std::shared_ptr<Strangers::Place>> held;
  std::vector<std::size_t> shed;

  std::size_t come(const std::string& source, BootTime now, const StrangerLimits& limits = {}) {
    const std::size_t number = held.size();
    held.push_back(strangers.admit(source, now, limits));
    held.back()->on_shed([this, number] {
      shed.push_back(number);
      held[number].reset();
    });
    return number;
  }
};

using Numbers = std::vector<std::size_t>;

}  // namespace

TEST_CASE("strangers: what they may hold follows the descriptors there are") {
  CHECK(stranger_limits(300).together == 75);
  CHECK(stranger_limits(300).per_source == 37);
  CHECK(stranger_limits(1024).together == 256);
  CHECK(stranger_limits(1'000'000).together == 1024);
  CHECK(stranger_limits(10).together >= 1);
  CHECK(stranger_limits(10).per_source >= 1);
  for (const std::size_t descriptors : {64, 256, 300, 1024, 20'000})
    CHECK(stranger_limits(descriptors).together <= descriptors / 4);
}

TEST_CASE("strangers: the oldest of all gives way when they are too many") {
  Port port;
  const StrangerLimits limits{3, 3, 15s};
  for (int i = 0; i < 5; ++i) port.come("source " + std::to_string(i), kStart, limits);
  CHECK(port.shed == Numbers{0, 1});
  CHECK(port.strangers.size() == 3);
}

TEST_CASE("strangers: a source at its limit loses its own oldest and no other's") {
  Port port;
  const StrangerLimits limits{100, 2, 15s};
  port.come("a", kStart, limits);
  for (int i = 0; i < 4; ++i) port.come("b", kStart, limits);
  CHECK(port.shed == Numbers{1, 2});
  CHECK(port.strangers.size() == 3);
}

TEST_CASE("strangers: limits that shrink are kept at the next accept") {
  Port port;
  for (int i = 0; i < 10; ++i) port.come("a", kStart, {100, 100, 15s});
  port.come("b", kStart, {4, 2, 15s});
  CHECK(port.strangers.size() == 4);
  port.come("a", kStart, {4, 2, 15s});
  CHECK(port.strangers.size() == 3);
  CHECK(port.shed == Numbers{0, 1, 2, 3, 4, 5, 6, 7, 8});
}

TEST_CASE("strangers: who has let go of his place counts no more, and is not shed") {
  Port port;
  const StrangerLimits limits{2, 2, 15s};
  const std::size_t first = port.come("a", kStart, limits);
  port.come("a", kStart, limits);
  port.held[first].reset();
  port.come("a", kStart, limits);
  CHECK(port.shed.empty());
  CHECK(port.strangers.size() == 2);
}

TEST_CASE("strangers: all who came by a time are shed, in the order in which they came") {
  Port port;
  for (int i = 0; i < 6; ++i) port.come("a", kStart + i * 1s);
  CHECK(port.strangers.oldest() == kStart);
  port.strangers.shed_until(kStart + 3s);
  CHECK(port.shed == Numbers{0, 1, 2, 3});
  CHECK(port.strangers.oldest() == kStart + 4s);
  CHECK(port.strangers.shed_oldest());
  CHECK(port.strangers.shed_oldest());
  CHECK_FALSE(port.strangers.shed_oldest());
  CHECK_FALSE(port.strangers.oldest().has_value());
}

TEST_CASE("strangers: one who keeps his descriptor after he was shed counts no more") {
  Strangers strangers;
  const auto place = strangers.admit("a", kStart, {});
  int times = 0;
  place->on_shed([&] { ++times; });
  CHECK(strangers.shed_oldest());
  CHECK(strangers.size() == 0);
  strangers.shed_until(kStart + 1h);
  CHECK(times == 1);
}

TEST_CASE("strangers: a place may outlive those it was one of") {
  std::shared_ptr<Strangers::Place> place;
  {
    Strangers strangers;
    place = strangers.admit("a", kStart, {});
  }
  place.reset();
}
