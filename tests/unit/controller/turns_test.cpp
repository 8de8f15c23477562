// Who has the controller's thread when, with a clock that moves by what the actions take.
#include "src/controller/core/turns.hpp"

#include <doctest/doctest.h>

#include <map>
#include <vector>

using namespace rexec;
using namespace rexec::controller;
using std::chrono::milliseconds;

namespace {

struct Reactor {
  BootTime now{std::chrono::hours(1)};
  std::multimap<BootTime, std::function<void()>> due;
  Turns turns{{[this] { return now; },
               [this](Nanos after, std::function<void()> action) {
                 due.emplace(now + after, std::move(action));
               }}};

  // What is due until then, in its order; time passes where there is nothing.
  void run_until(BootTime end) {
    while (!due.empty() && due.begin()->first <= end) {
      auto next = due.extract(due.begin());
      now = std::max(now, next.key());
      next.mapped()();
    }
    now = std::max(now, end);
  }
  void run() {
    while (!due.empty()) run_until(due.begin()->first);
  }
  Turns::Action work(Nanos time, Nanos* total = nullptr) {
    return [this, time, total] {
      now += time;
      if (total != nullptr) *total += time;
    };
  }
};

}  // namespace

TEST_CASE("turns: what is asked alone is done at once, and after much comes another's turn") {
  Reactor reactor;
  int done = 0;
  reactor.turns.ask("eve", [&] { ++done; });
  CHECK(done == 1);
  // It is served for its time and goes on when others had theirs.
  reactor.turns.ask("eve", [&] {
    for (int more = 0; more < 5; ++more)
      reactor.turns.ask("eve", [&] {
        ++done;
        reactor.now += Turns::kTimeInTurn;
      });
  });
  CHECK(done == 2);
  CHECK(reactor.due.size() == 1);
  reactor.run();
  CHECK(done == 6);
}

TEST_CASE("turns: who is alone is not held back, whatever he takes") {
  Reactor reactor;
  const BootTime begun = reactor.now;
  for (int count = 0; count < 1000; ++count)
    reactor.turns.ask("eve", reactor.work(milliseconds(9)));
  reactor.run();
  CHECK(reactor.now - begun == milliseconds(9000));
}

TEST_CASE("turns: while others want the thread one has a quarter of it, beyond what he saved up") {
  Reactor reactor;
  Nanos taken{};
  for (int count = 0; count < 3000; ++count)
    reactor.turns.ask("eve", reactor.work(milliseconds(9), &taken));
  const BootTime begun = reactor.now;
  for (int tick = 0; tick < 100; ++tick) {
    reactor.turns.wants("ann");
    reactor.run_until(reactor.now + milliseconds(100));
  }
  const Nanos passed = reactor.now - begun;
  CHECK(taken >= passed / 5);
  CHECK(taken <= passed / Turns::kPart + Turns::kSavedUp + milliseconds(100));
}

TEST_CASE("turns: who took all of it alone has his quarter from the moment another comes") {
  Reactor reactor;
  Nanos taken{};
  for (int count = 0; count < 3000; ++count)
    reactor.turns.ask("eve", reactor.work(milliseconds(9), &taken));
  reactor.run_until(reactor.now + std::chrono::seconds(10));
  reactor.turns.wants("ann");
  const Nanos before = taken;
  reactor.run_until(reactor.now + milliseconds(900));
  CHECK(taken - before >= milliseconds(150));
  CHECK(taken - before <= milliseconds(300));
}

TEST_CASE("turns: another's request is done at once while one waits for his next turn") {
  Reactor reactor;
  reactor.turns.wants("ann");
  for (int count = 0; count < 1000; ++count)
    reactor.turns.ask("eve", reactor.work(milliseconds(9)));
  reactor.run_until(reactor.now + milliseconds(500));
  bool is_done = false;
  reactor.turns.ask("ann", [&] { is_done = true; });
  CHECK(is_done);
}

TEST_CASE("turns: of what reads much, two are under way, and small requests pass by the others") {
  Reactor reactor;
  std::vector<TurnSlot> slots;
  for (int count = 0; count < 10; ++count)
    reactor.turns.ask_much("eve", [&](TurnSlot slot) { slots.push_back(std::move(slot)); });
  reactor.run();
  CHECK(slots.size() == Turns::kUnderWay);
  bool is_done = false;
  reactor.turns.ask("eve", [&] { is_done = true; });
  CHECK(is_done);
  slots.pop_back();
  reactor.run();
  CHECK(slots.size() == Turns::kUnderWay);
  for (int left = 9; left > 0; --left) {
    CHECK(slots.size() == std::min<std::size_t>(left, Turns::kUnderWay));
    slots.erase(slots.begin());
    reactor.run();
  }
  CHECK(slots.empty());
}

TEST_CASE("turns: what has begun goes on before what is new") {
  Reactor reactor;
  std::string order;
  reactor.turns.ask("eve", [&] {
    reactor.turns.ask("eve", [&] { order += "n"; });
    reactor.turns.go_on("eve", [&] { order += "b"; });
  });
  reactor.run();
  CHECK(order == "bn");
}

TEST_CASE("turns: a slot may outlive them") {
  TurnSlot kept;
  {
    Reactor reactor;
    reactor.turns.ask_much("eve", [&](TurnSlot slot) { kept = std::move(slot); });
    reactor.turns.ask_much("eve", [](const TurnSlot&) {});
  }
  kept.reset();
}
