// Actions that wait for what happens to a key: a node comes online, a job ends. Each goes with its
// handle, so that nothing of a session is kept by what it waited for. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>

namespace rexec::controller {

// Dropping it drops the action. Empty for what was done at once.
using Wish = std::shared_ptr<void>;

template <class Key, class... Args>
class Wishes {
 public:
  using Action = std::function<void(Args...)>;

  [[nodiscard]] Wish add(const Key& key, Action action) {
    const std::uint64_t number = next_++;
    (*waiting_)[key].emplace(number, std::move(action));
    return std::make_shared<Held>(waiting_, key, number);
  }
  // Runs so many of them, the oldest first; what an action drops meanwhile is not run. True: there
  // are more.
  bool fulfil(const Key& key, std::size_t most, Args... args) {
    for (std::size_t done = 0; done < most; ++done) {
      const auto due = waiting_->find(key);
      if (due == waiting_->end()) return false;
      const Action action = take(*waiting_, key, due->second.begin()->first);
      action(args...);
    }
    return waiting_->contains(key);
  }
  std::size_t size(const Key& key) const {
    const auto at = waiting_->find(key);
    return at == waiting_->end() ? 0 : at->second.size();
  }

 private:
  using Waiting = std::unordered_map<Key, std::map<std::uint64_t, Action>>;
  static Action take(Waiting& waiting, const Key& key, std::uint64_t number) {
    const auto of_key = waiting.find(key);
    if (of_key == waiting.end()) return {};
    auto node = of_key->second.extract(number);
    if (of_key->second.empty()) waiting.erase(of_key);
    return node.empty() ? Action() : std::move(node.mapped());
  }
  // It may outlive the wishes, as a session does the hub.
  struct Held {
    Held(std::weak_ptr<Waiting> all, const Key& of, std::uint64_t which)
        : waiting(std::move(all)), key(of), number(which) {}
    ~Held() {
      if (const auto all = waiting.lock()) take(*all, key, number);
    }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    std::weak_ptr<Waiting> waiting;
    Key key;
    std::uint64_t number;
  };

  std::shared_ptr<Waiting> waiting_ = std::make_shared<Waiting>();
  std::uint64_t next_ = 1;
};

}  // namespace rexec::controller
