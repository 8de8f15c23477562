// Whose turn it is on the controller's one thread: what people and nodes ask for comes in turns,
// one queue for each of them, and what an answer costs later counts like what it costs at once.
// While others want the thread, each has a quarter of it, beyond a part of a second that he may
// save up: an ordinary request never waits, thousands of dear ones leave room between them. Nobody
// is held back while he is alone. Pure: the clock and "later" are handed in.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "src/base/clock.hpp"
#include "src/controller/core/bucket.hpp"

namespace rexec::controller {

// Held by an answer that is under way; the next of its kind begins when it goes.
using TurnSlot = std::shared_ptr<void>;

class Turns {
 public:
  using Action = std::move_only_function<void()>;
  struct Thread {
    std::function<BootTime()> now;
    // Zero: when everything that has come before has had its turn.
    std::function<void(Nanos after, std::function<void()> action)> later;
  };
  // Of one's requests in one turn of the reactor: a few large ones or dozens of small ones.
  static constexpr Nanos kTimeInTurn = std::chrono::milliseconds(1);
  // While others want it one has a quarter of the thread: the time that he had comes back in four
  // times as long. What he may have before that makes a list of some thousand rows no slower.
  static constexpr int kPart = 4;
  static constexpr Nanos kSavedUp = std::chrono::milliseconds(250);
  // Others want the thread when one of them did something so lately: between the steps of a `run`
  // there are moments in which nothing of it is to be seen.
  static constexpr Nanos kWantedFor = std::chrono::seconds(1);
  // Of what reads much: the rows of one are read while those of the other are told.
  static constexpr std::size_t kUnderWay = 2;

  explicit Turns(Thread thread) : all_(std::make_shared<All>(std::move(thread))) {}

  // At once if nothing of his is waiting and he has not had his time; else after what he asked
  // before.
  void ask(const std::string& who, Action action);
  // The same for what reads much of the store: few of these are under way at a time. Each is under
  // way until its slot is gone.
  void ask_much(const std::string& who, std::move_only_function<void(TurnSlot)> action);
  // What goes on with something that had its turn before: it comes first.
  void go_on(const std::string& who, Action action);
  // Somebody does something that needs the thread: for a while others leave time for him.
  void wants(const std::string& who);

 private:
  struct Asked {
    std::deque<Action> begun;
    std::deque<Action> few;
    std::deque<std::move_only_function<void(TurnSlot)>> much;
    std::size_t under_way = 0;  // of `much`
    bool was_much = false;      // the last one taken
    bool is_awaited = false;    // it is served now, or later() comes
    Bucket time{kPart * kSavedUp};
  };
  struct Seen {
    std::string who;
    BootTime at{};
  };
  struct All : std::enable_shared_from_this<All> {
    explicit All(Thread of) : thread(std::move(of)) {}
    void asked(const std::string& who);
    void serve(const std::string& who);
    void serve_later(const std::string& who, Nanos after);
    bool take_turn(const std::string& who, Asked& mine);
    TurnSlot begin(const std::string& who, Asked& mine);
    void ended(const std::string& who);
    void saw(const std::string& who);
    bool others_want(const std::string& who) const;
    void forget_idle();

    Thread thread;
    std::unordered_map<std::string, Asked> by_who;
    std::size_t forget_at = 64;
    Seen last;   // who was seen last,
    Seen other;  // and who last of the others
  };

  std::shared_ptr<All> all_;  // slots may be the last to go
};

}  // namespace rexec::controller
