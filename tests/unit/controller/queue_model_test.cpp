// The queue against a model of it that looks at everybody at each step, and what a step may cost:
// one event concerns a few, however many wait.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "src/controller/core/queue.hpp"

using namespace rexec;
using namespace rexec::controller;

namespace {

const std::vector<NodeId> kNodes{{"n-1"}, {"n-2"}};
const BootTime kStart{std::chrono::hours(1)};

// The rules as they are said: in the order of arrival, whoever is not over, waits for nothing else
// and finds a slot of each of his locks beside those who hold one or are to have one before him.
struct Model {
  struct Entry {
    Queue::Waiting job;
    BootTime online_until = BootTime::max();
    bool is_refused = false;
  };
  std::map<int, Entry> waiting;
  std::map<std::string, std::map<JobId, std::uint32_t>> held;
  std::set<NodeId> online;
  std::map<JobId, Ending> endings;

  static std::string key(const Lock& lock, const NodeId& node) {
    return (lock.scope == LockScope::kNode ? node.text : "") + "/" + lock.name;
  }
  void add(int number, const Queue::Waiting& job) {
    Entry entry{job};
    if (job.terms->online > Millis{0}) entry.online_until = job.accepted + job.terms->online;
    waiting[number] = entry;
  }
  void ended(const JobId& job, Ending ending) {
    endings[job] = ending;
    for (auto& [key, holders] : held) holders.erase(job);
    std::erase_if(waiting, [&](const auto& one) { return one.second.job.job == job; });
  }
  bool comes_true(const Dependency& one, const Terms& terms) const {
    if (one.when == After::kAny) return true;
    if (one.when == After::kOk) return endings.at(one.job) == Ending::kOk;
    if (one.group == 0) return endings.at(one.job) == Ending::kFailed;
    return std::ranges::any_of(terms.after, [&](const Dependency& other) {
      const auto ending = endings.find(other.job);
      const bool is_of_it = other.group == one.group && other.when == After::kFail;
      return is_of_it && (ending == endings.end() || ending->second == Ending::kFailed);
    });
  }
  // 1: it may start, 0: it waits, -1: it is refused.
  int judge(Entry& entry, BootTime now,
            const std::map<std::string, std::map<JobId, std::uint32_t>>& reserved) {
    const Terms& terms = *entry.job.terms;
    const bool is_online = online.contains(entry.job.node);
    if (is_online) entry.online_until = BootTime::max();
    bool is_open = false;
    for (const Dependency& one : terms.after) {
      if (!endings.contains(one.job))
        is_open = true;
      else if (!comes_true(one, terms))
        return -1;
    }
    if (terms.queue > Millis{0} && now >= entry.job.accepted + terms.queue) return -1;
    if (now >= entry.online_until) return -1;
    if (is_open || !is_online) return 0;
    for (const Lock& lock : terms.locks) {
      std::size_t taken = 0, most = lock.slots;
      for (const auto* slots : {&std::as_const(held), &reserved}) {
        const auto at = slots->find(key(lock, entry.job.node));
        if (at == slots->end()) continue;
        taken += at->second.size();
        for (const auto& [job, told] : at->second) most = std::min<std::size_t>(most, told);
      }
      if (taken >= most) return 2;
    }
    return 1;
  }
  std::pair<std::set<JobId>, std::set<JobId>> step(BootTime now) {
    std::set<JobId> ready, refused;
    std::map<std::string, std::map<JobId, std::uint32_t>> reserved;
    for (auto at = waiting.begin(); at != waiting.end();) {
      Entry& entry = at->second;
      const auto slots_in = [&](auto& where) {
        for (const Lock& lock : entry.job.terms->locks)
          where[key(lock, entry.job.node)][entry.job.job] = lock.slots;
      };
      const int verdict = entry.is_refused ? -2 : judge(entry, now, reserved);
      if (verdict == -1) {
        entry.is_refused = true;
        refused.insert(entry.job.job);
      }
      if (verdict == 2) slots_in(reserved);
      if (verdict == 1) {
        slots_in(held);
        ready.insert(entry.job.job);
        at = waiting.erase(at);
      } else {
        ++at;
      }
    }
    return {ready, refused};
  }
};

std::string names(const std::set<JobId>& jobs) {
  std::string out;
  for (const JobId& job : jobs) out += job.text + " ";
  return out;
}

struct Game {
  explicit Game(unsigned seed) : random(seed) {}
  std::mt19937 random;
  Queue queue;
  Model model;
  BootTime now = kStart;
  int next = 0;
  std::vector<JobId> running, refused;
  std::set<JobId> over;

  unsigned pick(unsigned n) { return static_cast<unsigned>(random() % n); }
  Terms terms() {
    Terms out;
    for (const char* name : {"a", "b", "c"})
      if (pick(3) == 0)
        out.locks.push_back({name, 1 + pick(3), pick(2) ? LockScope::kFleet : LockScope::kNode});
    const After when = std::array{After::kOk, After::kAny, After::kFail}[pick(3)];
    const unsigned group = pick(2);
    for (unsigned i = pick(8); next > 0 && i >= 5; --i)
      out.after.push_back(
          {{"j-" + std::to_string(pick(static_cast<unsigned>(next)))}, when, group});
    if (pick(4) == 0) out.queue = Millis{1 + pick(50)};
    if (pick(4) == 0) out.online = Millis{1 + pick(50)};
    return out;
  }
  void add() {
    const auto wish = std::make_shared<const Terms>(terms());
    Queue::Waiting job{{"j-" + std::to_string(next)}, kNodes[pick(2)], wish, now, {}};
    for (const Dependency& one : wish->after)
      if (over.contains(one.job)) job.endings[one.job] = model.endings.at(one.job);
    model.add(next++, job);
    queue.add(job);
  }
  void end(const JobId& job) {
    const Ending ending = pick(2) ? Ending::kOk : Ending::kFailed;
    over.insert(job);
    model.ended(job, ending);
    queue.ended(job, ending);
  }
  void end_one_of(std::vector<JobId>& jobs) {
    if (jobs.empty()) return;
    const auto at = jobs.begin() + pick(static_cast<unsigned>(jobs.size()));
    const JobId job = *at;
    jobs.erase(at);
    end(job);
  }
  void turn_node() {
    const NodeId& node = kNodes[pick(2)];
    const bool is_online = model.online.contains(node);
    is_online ? void(model.online.erase(node)) : void(model.online.insert(node));
    queue.node(node, is_online ? Presence::kOffline : Presence::kOnline);
  }
  void cancel() {
    if (model.waiting.empty()) return;
    auto at = model.waiting.begin();
    std::advance(at, pick(static_cast<unsigned>(model.waiting.size())));
    const JobId job = at->second.job.job;
    std::erase(refused, job);
    end(job);
  }
  void move() {
    switch (pick(8)) {
      case 0:
        return turn_node();
      case 1:
        return cancel();
      case 2:
        now += Millis{pick(20)};
        return;
      case 3:
        return end_one_of(refused);
      case 4:
      case 5:
        return end_one_of(running);
      default:
        return add();
    }
  }
  void compare() {
    std::set<JobId> ready, gone;
    bool has_more = true;
    // In steps of any size.
    while (has_more) {
      const Queue::Step step = queue.step(now, 1 + pick(5));
      ready.insert(step.ready.begin(), step.ready.end());
      for (const auto& one : step.refused) CHECK(gone.insert(one.job).second);
      has_more = step.has_more;
    }
    const auto expected = model.step(now);
    CHECK(names(ready) == names(expected.first));
    CHECK(names(gone) == names(expected.second));
    CHECK(queue.size() == model.waiting.size());
    running.insert(running.end(), ready.begin(), ready.end());
    refused.insert(refused.end(), gone.begin(), gone.end());
  }
};

std::shared_ptr<const Terms> behind(const char* lock) {
  return std::make_shared<const Terms>(Terms{.locks = {{lock, 1, LockScope::kFleet}}});
}

JobId number(std::size_t i) { return {"j-" + std::to_string(i)}; }

// How many things it had to look at until nothing was left.
std::size_t looks(Queue& queue, std::vector<JobId>& ready) {
  std::size_t count = 0;
  for (bool has_more = true; has_more; ++count) {
    const Queue::Step step = queue.step(kStart, 1);
    ready.insert(ready.end(), step.ready.begin(), step.ready.end());
    has_more = step.has_more;
  }
  return count;
}

}  // namespace

TEST_CASE("queue: it decides as one who looks at everybody at each step would") {
  for (unsigned seed = 1; seed <= 400; ++seed) {
    CAPTURE(seed);
    Game game(seed);
    for (int i = 0; i < 150; ++i) {
      game.move();
      if (game.pick(2) == 0) game.compare();
    }
    game.compare();
  }
}

TEST_CASE(
    "queue: an end behind which 20,000 wait for a lock costs a few looks, and starts the next") {
  constexpr std::size_t kMany = 20'000;
  Queue queue;
  std::vector<JobId> ready;
  queue.node(kNodes[0], Presence::kOnline);
  for (std::size_t i = 0; i < kMany; ++i) {
    queue.add({number(i), kNodes[0], behind("l"), kStart, {}});
    CHECK(looks(queue, ready) <= 3);
  }
  for (std::size_t i = 0; i + 1 < kMany; ++i) {
    REQUIRE(ready.size() == i + 1);
    REQUIRE(ready.back() == number(i));
    queue.ended(number(i), Ending::kOk);
    CHECK(looks(queue, ready) <= 4);
  }
}

TEST_CASE("queue: jobs that one lock lets pass and another holds back are not looked at again") {
  constexpr std::size_t kMany = 5'000;
  Queue queue;
  std::vector<JobId> ready;
  queue.node(kNodes[0], Presence::kOnline);
  const auto both = std::make_shared<const Terms>(
      Terms{.locks = {{"wide", kMostSlots, LockScope::kFleet}, {"one", 1, LockScope::kFleet}}});
  const auto wide =
      std::make_shared<const Terms>(Terms{.locks = {{"wide", kMany, LockScope::kFleet}}});
  for (std::size_t i = 0; i < kMany; ++i) queue.add({number(i), kNodes[0], both, kStart, {}});
  for (std::size_t i = 0; i < kMany; ++i)
    queue.add({number(kMany + i), kNodes[0], wide, kStart, {}});
  looks(queue, ready);
  for (std::size_t i = 0; i < kMany / 2; ++i) {
    REQUIRE(!ready.empty());
    const JobId job = ready.back();
    ready.clear();
    queue.ended(job, Ending::kOk);
    CHECK(looks(queue, ready) <= 8);
  }
}

TEST_CASE("queue: a job that ends costs what comes after it, and one that is cancelled little") {
  constexpr std::size_t kMany = 10'000;
  Queue queue;
  std::vector<JobId> ready;
  queue.node(kNodes[0], Presence::kOnline);
  const auto after = std::make_shared<const Terms>(Terms{.after = {{{"j-first"}, After::kOk}}});
  for (std::size_t i = 0; i < kMany; ++i) queue.add({number(i), kNodes[0], after, kStart, {}});
  looks(queue, ready);
  CHECK(ready.empty());
  queue.ended(number(7), Ending::kFailed);
  CHECK(looks(queue, ready) <= 2);
  queue.ended({"j-first"}, Ending::kOk);
  CHECK(queue.step(kStart, 10).ready.size() <= 10);  // the rest in later turns
  looks(queue, ready);
  CHECK(queue.size() == 0);
}

TEST_CASE("queue: after a job on several nodes fail is true when one failed, ok when none did") {
  for (const After when : {After::kOk, After::kAny, After::kFail}) {
    for (unsigned failed = 0; failed < 8; ++failed) {
      CAPTURE(after_name(when));
      CAPTURE(failed);
      Queue queue;
      queue.node(kNodes[0], Presence::kOnline);
      Terms terms;
      for (std::size_t i = 0; i < 3; ++i) terms.after.push_back({number(i), when, 1});
      // The first has ended before.
      const auto ending = [&](std::size_t i) {
        return (failed & (1U << i)) != 0 ? Ending::kFailed : Ending::kOk;
      };
      queue.add({{"j-next"},
                 kNodes[0],
                 std::make_shared<const Terms>(terms),
                 kStart,
                 {{number(0), ending(0)}}});
      CHECK(queue.step(kStart).ready.empty());
      queue.ended(number(1), ending(1));
      CHECK(queue.step(kStart).ready.empty());
      queue.ended(number(2), ending(2));
      const bool is_ready = queue.step(kStart).ready.size() == 1;
      CHECK(is_ready == (when == After::kAny || (when == After::kOk) == (failed == 0)));
    }
  }
}
