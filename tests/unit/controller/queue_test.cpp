// Who may start when: dependencies, slots, offline nodes, limits of waiting.
#include "src/controller/core/queue.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using namespace rexec;
using namespace rexec::controller;

namespace {

const NodeId kN1{"n-1"}, kN2{"n-2"};
const BootTime kStart{std::chrono::hours(1)};

struct Bench {
  Queue queue;
  BootTime now = kStart;
  std::set<NodeId> online{kN1, kN2};

  void add(const std::string& job, Terms terms, const NodeId& node = kN1,
           std::map<JobId, Ending> endings = {}) {
    queue.add(
        {{job}, node, std::make_shared<const Terms>(std::move(terms)), now, std::move(endings)});
  }
  Queue::Step step() {
    for (const NodeId& node : {kN1, kN2})
      queue.node(node, online.contains(node) ? Presence::kOnline : Presence::kOffline);
    return queue.step(now);
  }
  std::vector<std::string> ready() {
    std::vector<std::string> out;
    for (const JobId& job : step().ready) out.push_back(job.text);
    return out;
  }
};

using Names = std::vector<std::string>;

Terms lock(const std::string& name, std::uint32_t slots = 1, LockScope scope = LockScope::kNode) {
  return {.locks = {{name, slots, scope}}};
}
Terms after(const std::string& job, After when = After::kOk) { return {.after = {{{job}, when}}}; }

}  // namespace

TEST_CASE("queue: a job whose terms are met is ready at once, and once only") {
  Bench bench;
  bench.add("j-1", {.queue = Millis{1000}});
  CHECK(bench.ready() == Names{"j-1"});
  CHECK(bench.ready().empty());
  CHECK(bench.queue.size() == 0);
  CHECK(bench.queue.wake_at() == BootTime::max());
}

TEST_CASE("queue: a job waits for its node, and is refused when that does not come in time") {
  Bench bench;
  bench.online = {};
  bench.add("j-1", {.online = Millis{1000}});
  const auto first = bench.step();
  CHECK(first.ready.empty());
  CHECK(first.changed == std::vector<JobId>{{"j-1"}});
  CHECK(bench.queue.wait_of({"j-1"}).obstacle == Queue::Obstacle::kNode);
  CHECK(bench.queue.wake_at() == kStart + Millis{1000});
  CHECK(bench.step().changed.empty());
  SUBCASE("in time") {
    bench.now += Millis{999};
    bench.online = {kN1};
    CHECK(bench.ready() == Names{"j-1"});
  }
  SUBCASE("too late") {
    bench.now += Millis{1000};
    const auto step = bench.step();
    REQUIRE(step.refused.size() == 1);
    CHECK(step.refused[0].why == Queue::Verdict::kNodeOffline);
  }
}

TEST_CASE("queue: what --queue-timeout bounds is the whole wait, whatever it is for") {
  Bench bench;
  bench.add("j-0", lock("l"));
  CHECK(bench.ready() == Names{"j-0"});
  Terms terms = lock("l");
  terms.queue = Millis{500};
  bench.add("j-1", terms);
  CHECK(bench.ready().empty());
  bench.now += Millis{500};
  const auto step = bench.step();
  REQUIRE(step.refused.size() == 1);
  CHECK(step.refused[0].why == Queue::Verdict::kQueueTimeout);
  bench.queue.ended({"j-1"}, Ending::kFailed);
  CHECK(bench.queue.size() == 0);
}

TEST_CASE("queue: --wait-online is over once the node was seen, --queue-timeout is not") {
  Bench bench;
  bench.add("j-0", lock("l"));
  CHECK(bench.ready() == Names{"j-0"});
  Terms terms = lock("l");
  terms.online = Millis{500};
  bench.add("j-1", terms);
  CHECK(bench.ready().empty());  // its node is there, the slot is not
  bench.online = {};
  bench.now += Millis{10'000};
  CHECK(bench.step().refused.empty());
}

TEST_CASE("queue: a job starts after the end it asks for, and is refused when that cannot come") {
  const auto judge = [](After when, Ending ending) {
    Bench bench;
    bench.add("j-1", after("j-0", when));
    CHECK(bench.ready().empty());
    CHECK(bench.queue.wait_of({"j-1"}).job == JobId{"j-0"});
    bench.queue.ended({"j-0"}, ending);
    const auto step = bench.step();
    CHECK(step.ready.size() + step.refused.size() == 1);
    if (!step.refused.empty()) CHECK(step.refused[0].dependency == Dependency{{"j-0"}, when});
    return step.ready.size() == 1;
  };
  CHECK(judge(After::kOk, Ending::kOk));
  CHECK_FALSE(judge(After::kOk, Ending::kFailed));
  CHECK(judge(After::kAny, Ending::kOk));
  CHECK(judge(After::kAny, Ending::kFailed));
  CHECK_FALSE(judge(After::kFail, Ending::kOk));
  CHECK(judge(After::kFail, Ending::kFailed));
}

TEST_CASE("queue: ends that were there before count, and all of several are waited for") {
  Bench bench;
  Terms terms{.after = {{{"j-a"}, After::kOk}, {{"j-b"}, After::kAny}, {{"j-c"}, After::kFail}}};
  bench.add("j-1", terms, kN1, {{{"j-a"}, Ending::kOk}, {{"j-c"}, Ending::kFailed}});
  CHECK(bench.ready().empty());
  CHECK(bench.queue.wait_of({"j-1"}).job == JobId{"j-b"});
  bench.queue.ended({"j-b"}, Ending::kFailed);
  CHECK(bench.ready() == Names{"j-1"});
  bench.add("j-2", after("j-x"), kN1, {{{"j-x"}, Ending::kFailed}});
  CHECK(bench.step().refused.size() == 1);
}

TEST_CASE("queue: a slot of a node is that node's, a slot of the fleet is everybody's") {
  Bench bench;
  bench.add("j-1", lock("l"), kN1);
  bench.add("j-2", lock("l"), kN2);
  CHECK(bench.ready() == Names{"j-1", "j-2"});
  bench.add("j-3", lock("f", 1, LockScope::kFleet), kN1);
  bench.add("j-4", lock("f", 1, LockScope::kFleet), kN2);
  CHECK(bench.ready() == Names{"j-3"});
  CHECK(bench.queue.wait_of({"j-4"}) == Queue::Wait{Queue::Obstacle::kLock, {"j-3"}, "f"});
  bench.queue.ended({"j-3"}, Ending::kFailed);
  CHECK(bench.ready() == Names{"j-4"});
}

TEST_CASE("queue: slots are given in the order of arrival, and none waits for ever") {
  Bench bench;
  bench.add("j-1", lock("a", 1, LockScope::kFleet));
  CHECK(bench.ready() == Names{"j-1"});
  Terms both = lock("a", 1, LockScope::kFleet);
  both.locks.push_back({"b", 1, LockScope::kFleet});
  bench.add("j-2", both);
  bench.add("j-3", lock("b", 1, LockScope::kFleet));  // b is free, but j-2 was here before
  CHECK(bench.ready().empty());
  bench.queue.ended({"j-1"}, Ending::kOk);
  CHECK(bench.ready() == Names{"j-2"});
  bench.queue.ended({"j-2"}, Ending::kOk);
  CHECK(bench.ready() == Names{"j-3"});
}

TEST_CASE("queue: of several numbers of slots the smallest holds, also for those who come later") {
  Bench bench;
  bench.add("j-1", lock("l", 1));
  bench.add("j-2", lock("l", 5));  // j-1 was promised to be alone
  CHECK(bench.ready() == Names{"j-1"});
  bench.add("j-3", lock("l", 1));
  bench.add("j-4", lock("l", 5));
  bench.queue.ended({"j-1"}, Ending::kOk);
  CHECK(bench.ready() == Names{"j-2"});  // j-3 is to be alone, and is before j-4
  bench.queue.ended({"j-2"}, Ending::kOk);
  CHECK(bench.ready() == Names{"j-3"});
  bench.queue.ended({"j-3"}, Ending::kOk);
  CHECK(bench.ready() == Names{"j-4"});
}

TEST_CASE("queue: who waits for something else than a slot keeps nobody from it") {
  Bench bench;
  bench.online = {kN2};
  bench.add("j-1", lock("f", 1, LockScope::kFleet), kN1);
  bench.add("j-2", lock("f", 1, LockScope::kFleet), kN2);
  CHECK(bench.ready() == Names{"j-2"});
}

TEST_CASE("queue: a job that was running before holds its slots until it has ended") {
  Bench bench;
  bench.queue.hold({"j-0"}, kN1, lock("l"));
  bench.queue.hold({"j-0"}, kN1, lock("l"));
  bench.add("j-1", lock("l"));
  CHECK(bench.ready().empty());
  bench.queue.ended({"j-0"}, Ending::kFailed);
  CHECK(bench.ready() == Names{"j-1"});
}

TEST_CASE("queue: an end that concerns nobody here says so") {
  Bench bench;
  bench.add("j-1", after("j-0"));
  CHECK_FALSE(bench.queue.ended({"j-9"}, Ending::kOk));
  CHECK(bench.queue.ended({"j-0"}, Ending::kOk));
  CHECK(bench.ready() == Names{"j-1"});
  CHECK_FALSE(bench.queue.ended({"j-1"}, Ending::kOk));  // it held no slot
}

TEST_CASE("queue: whatever comes, a lock has no more holders than slots and all run in the end") {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    const auto pick = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
    Bench bench;
    std::map<JobId, std::vector<std::string>> running;
    std::map<std::string, std::uint32_t> held;
    const std::map<std::string, std::uint32_t> slots{{"a", 1}, {"b", 2}, {"c", 3}};
    std::map<JobId, Terms> terms;
    std::size_t ran = 0;
    const auto start_ready = [&] {
      for (const JobId& job : bench.step().ready) {
        for (const Lock& one : terms.at(job).locks) {
          running[job].push_back(one.name);
          CHECK(++held[one.name] <= slots.at(one.name));
        }
        running[job];
        ++ran;
      }
    };
    const auto end_one = [&] {
      if (running.empty()) return;
      const auto at = std::next(running.begin(), pick(static_cast<unsigned>(running.size())));
      for (const std::string& name : at->second) --held[name];
      bench.queue.ended(at->first, Ending::kOk);
      running.erase(at);
    };
    for (unsigned i = 0; i < 60; ++i) {
      const JobId job{"j-" + std::to_string(i)};
      Terms one;
      for (const auto& [name, most] : slots)
        if (pick(2) == 0) one.locks.push_back({name, most, LockScope::kFleet});
      if (i > 0 && pick(3) == 0)
        one.after.push_back({{"j-" + std::to_string(pick(i))}, After::kAny});
      std::map<JobId, Ending> endings;
      for (const auto& dependency : one.after)
        if (!running.contains(dependency.job) && !bench.queue.is_waiting(dependency.job))
          endings[dependency.job] = Ending::kOk;
      terms[job] = one;
      bench.add(job.text, one, kN1, endings);
      start_ready();
      CHECK(bench.step().ready.empty());
      if (pick(2) == 0) {
        end_one();
        start_ready();
      }
    }
    start_ready();
    while (!running.empty()) {
      end_one();
      start_ready();
    }
    CHECK(ran == 60);
    CHECK(bench.queue.size() == 0);
  }
}
