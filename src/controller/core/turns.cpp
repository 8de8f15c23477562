#include "src/controller/core/turns.hpp"

#include <utility>

namespace rexec::controller {
void Turns::ask(const std::string& who, Action action) {
  all_->by_who.try_emplace(who).first->second.few.push_back(std::move(action));
  all_->asked(who);
}

void Turns::ask_much(const std::string& who, std::move_only_function<void(TurnSlot)> action) {
  all_->by_who.try_emplace(who).first->second.much.push_back(std::move(action));
  all_->asked(who);
}

void Turns::go_on(const std::string& who, Action action) {
  all_->by_who.try_emplace(who).first->second.begun.push_back(std::move(action));
  all_->asked(who);
}

void Turns::wants(const std::string& who) { all_->saw(who); }

void Turns::All::asked(const std::string& who) {
  saw(who);
  if (by_who.at(who).is_awaited) return;
  by_who.at(who).is_awaited = true;
  serve(who);
  forget_idle();
}

// While he is served, his entry is there and awaited: what is asked meanwhile waits in it.
void Turns::All::serve(const std::string& who) {
  Asked& mine = by_who.at(who);
  const BootTime end = thread.now() + kTimeInTurn;
  do {
    const BootTime now = thread.now();
    const Nanos wait = mine.time.wait_for(Nanos::zero(), now);
    if (wait > Nanos::zero() && others_want(who)) return serve_later(who, wait);
    if (!take_turn(who, mine)) {
      mine.is_awaited = false;
      return;
    }
    const BootTime done = thread.now();
    mine.time.take(kPart * (done - now), now);
  } while (thread.now() < end);
  serve_later(who, Nanos::zero());
}

void Turns::All::serve_later(const std::string& who, Nanos after) {
  thread.later(after, [weak = weak_from_this(), who] {
    if (const auto all = weak.lock()) all->serve(who);
  });
}

// What has begun comes first; then many small ones do not keep a large one out, nor the reverse.
bool Turns::All::take_turn(const std::string& who, Asked& mine) {
  if (!mine.begun.empty()) {
    auto action = std::move(mine.begun.front());
    mine.begun.pop_front();
    action();
    return true;
  }
  const bool may_much = !mine.much.empty() && mine.under_way < kUnderWay;
  mine.was_much = may_much && (mine.few.empty() || !mine.was_much);
  if (mine.was_much) {
    auto action = std::move(mine.much.front());
    mine.much.pop_front();
    action(begin(who, mine));
    return true;
  }
  if (mine.few.empty()) return false;
  auto action = std::move(mine.few.front());
  mine.few.pop_front();
  action();
  return true;
}

TurnSlot Turns::All::begin(const std::string& who, Asked& mine) {
  ++mine.under_way;
  return TurnSlot(nullptr, [weak = weak_from_this(), who](std::nullptr_t) {
    if (const auto all = weak.lock()) all->ended(who);
  });
}

// Not at once: whoever lets the slot go is in the middle of something.
void Turns::All::ended(const std::string& who) {
  Asked& mine = by_who.at(who);
  --mine.under_way;
  if (mine.is_awaited || mine.much.empty()) return;
  mine.is_awaited = true;
  serve_later(who, Nanos::zero());
}

void Turns::All::saw(const std::string& who) {
  if (last.who != who) other = std::exchange(last, {who, {}});
  last.at = thread.now();
}

bool Turns::All::others_want(const std::string& who) const {
  const Seen& seen = last.who == who ? other : last;
  return !seen.who.empty() && thread.now() - seen.at < kWantedFor;
}

// Those that nothing is known of but that they were here.
void Turns::All::forget_idle() {
  if (by_who.size() < forget_at) return;
  std::erase_if(by_who, [now = thread.now()](const auto& entry) {
    const Asked& mine = entry.second;
    return !mine.is_awaited && mine.under_way == 0 && mine.much.empty() && mine.time.is_full(now);
  });
  forget_at = std::max<std::size_t>(64, 2 * by_who.size());
}

}  // namespace rexec::controller
